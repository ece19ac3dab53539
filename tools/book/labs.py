"""A notebook as a page of the book: its cells and what they printed, as Markdown."""
import json
import re
from html import escape

NOT_RUN = """
!!! note "Not run yet"
    This page shows the lab without its outputs. Run it yourself: `./workshop lab`.
"""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def text_of(value):
    return value if isinstance(value, str) else "".join(value)


def sources(notebook):
    return [(cell["cell_type"], text_of(cell["source"])) for cell in notebook["cells"]]


def page(source, executed):
    """The Markdown of a lab: of its executed copy, if that is a run of what the lab says today."""
    notebook, ran = read(source), False
    if executed.exists() and sources(read(executed)) == sources(notebook):
        notebook, ran = read(executed), True
    parts = [part for cell in notebook["cells"] for part in of_cell(cell)]
    has_code = any(kind == "code" for kind, _ in sources(notebook))
    if has_code and not ran:
        parts.insert(1, NOT_RUN)
    return "\n\n".join(parts) + "\n"


def of_cell(cell):
    text = text_of(cell["source"]).strip("\n")
    if cell["cell_type"] == "markdown":
        yield text
    elif cell["cell_type"] == "code" and text:
        shell = text.startswith(("%%bash", "%%sh", "!"))
        yield fence(text, "bash" if shell else "python")
        for output in cell.get("outputs", []):
            yield from of_output(output)


def of_output(output):
    """What a cell printed, showed or died of."""
    kind = output["output_type"]
    if kind == "stream":
        yield fence(ANSI.sub("", text_of(output["text"])), "text")
    elif kind == "error":
        yield fence(ANSI.sub("", "\n".join(output["traceback"])), "text")
    else:
        yield from of_data(output["data"])


def of_data(data):
    """The richest form of a result that a page can show."""
    if "image/svg+xml" in data or "text/html" in data:
        rich = text_of(data.get("image/svg+xml") or data["text/html"])
        yield '<div class="lab-result">' + re.sub(r"\n\s*\n", "\n", rich.strip()) + "</div>"
    elif "image/png" in data:
        words = escape(text_of(data.get("text/plain", "a picture")), quote=True)
        png = text_of(data["image/png"]).replace("\n", "")
        yield f'<img alt="{words}" src="data:image/png;base64,{png}">'
    elif "text/markdown" in data:
        yield text_of(data["text/markdown"])
    else:
        yield fence(text_of(data.get("text/plain", "")), "text")


def fence(text, language):
    """A fenced block, with a fence that the text does not contain."""
    marks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
    options = f'{{ .{language} .lab-output }}' if language == "text" else language
    return f"{marks}{options}\n{text.rstrip()}\n{marks}"
