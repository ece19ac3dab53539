"""What MkDocs does for this book beyond its own: order, labs, links, diagrams, speaker notes."""
import os
import re
import sys
from pathlib import Path
from textwrap import indent

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).resolve().parent))

import births  # noqa: E402
import labs  # noqa: E402
import tables  # noqa: E402

QUOTED = re.compile(r"^([ >]*)<!-- *quote: *(\S+?)::(.+?) *-->\n\1(`{3,})(\w+)$", re.M)
CAPTURED = re.compile(r"^[ >]*<!--\s*run\b[^>]*?:.*?-->\n(?=[ >]*`{3})", re.M | re.S)
TABLE = re.compile(r"^<!-- *run[^:\n]*: *workshop (matrix|compare|fields)\b[^\n]*-->\n```text\n(.*?)\n```$",
                   re.M | re.S)
LINE = re.compile(r'<span id="__line-[\d-]+">((?:<span[^>]*>|</span>| )*)')
BLOCK = re.compile(r"<pre\b([^>]*)>(?=(.*?)</pre>)", re.S)
CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
FOUND = 6  # lines: what is longer the search does not show, or it would show whole classes
SPEAKER = re.compile(r"^<!--\s*speaker:\s*(.*?)\s*-->\n*", re.M | re.S)
FOR_INSTRUCTOR = os.environ.get("INSTRUCTOR", "") not in ("", "0")
UPWARD = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./([^)#]+)(#[^)]*)?\)")
DIAGRAM = re.compile(r'<img alt="([^"]*)" src="([^"]*diagrams/([\w-]+)\.svg)" ?/?>')


def on_files(files, config):
    """Adds a page for each lab, and puts the pages in order."""
    checkout = Path(config.docs_dir).parent
    for source in sorted(checkout.glob("notebooks/*.ipynb")):
        text = labs.page(source, checkout / "build" / "notebooks" / source.name)
        files.append(File.generated(config, f"{source.stem}-lab.md", content=text))
    if Path(config.docs_dir) == CHAPTERS and births.recordings():
        files.append(File.generated(config, births.NAME, content=births.page()))
    config.nav = order(files)
    return files


def order(files):
    """Chapters by their number, each with its lab below it; then what stands beside them."""
    pages = {file.src_uri: file for file in files.documentation_pages()}
    chapters, rest, beside = [], [], []
    for name in sorted(pages, key=lambda name: name.replace("-lab.md", ".md~")):
        if name.endswith("-lab.md"):
            chapters.append({f"Lab {int(name[:2])}": name})
        elif name != "index.md":
            entry = {title(pages[name]): name}
            {"7": rest, "8": rest, "9": beside}.get(name[0], chapters).append(entry)
    nav = [{"Welcome": "index.md"}] if "index.md" in pages else []
    if chapters:
        nav.append({"Chapters": chapters})
    if rest:
        nav.append({"The rest of the code": rest})
    return nav + ([{"Beside them": beside}] if beside else [])


def title(file):
    """A page's short title: its first heading up to the colon."""
    heading = re.search(r"^# +(.+)$", file.content_string, re.M)
    return heading[1].split(":")[0].strip() if heading else file.name


def on_page_markdown(markdown, page, config, files):
    """Says above each quotation where it is from; leads links to where this site has their goal."""
    markdown = SPEAKER.sub(speaker_note, markdown)
    markdown = TABLE.sub(lambda run: table(run, files), markdown)
    markdown = CAPTURED.sub("", QUOTED.sub(name_source, markdown))
    return UPWARD.sub(lambda link: lead(link, page, config), markdown)


def speaker_note(found):
    """A comment in the page: shown with INSTRUCTOR=1, else not there at all, nor for a search."""
    if not FOR_INSTRUCTOR:
        return ""
    return f'!!! note "For the instructor"\n\n{indent(found[1], "    ")}\n\n'


def name_source(found):
    indent, module, name, marks, language = found.groups()
    name = name.removesuffix(".__head__").replace("..", " to ").replace('"', "'")
    whole = name.startswith("__") or name == "*"
    folder = "chapters" if (CHAPTERS / module).is_file() else \
        "crabcan_workshop" if module.startswith("explore/") else "crabcan_steps"
    place = f"{folder}/{module}" + ("" if whole else f", {name}")
    return f'{indent}{marks}{language} title="{place}"'


def table(run, files):
    """What `workshop matrix`, `compare` or `fields` has printed, as a table."""
    pages = {int(file.name[:2]): file.url for file in files.documentation_pages()
             if re.fullmatch(r"[0-8]\d-\w+", file.name)}
    make = {"matrix": tables.matrix, "compare": tables.comparison, "fields": tables.fields}[run[1]]
    return "\n".join(make(run[2], pages))


def lead(link, page, config):
    """A link out of chapters/: a lab is a page here, other files are in the repository."""
    text, path, anchor = link[1], link[2], link[3] or ""
    if not (Path(config.docs_dir).parent / path).exists():
        raise PluginError(f"{page.file.src_uri}: ../{path}: no such file")
    if path.startswith("chapters/"):
        return f"[{text}]({path.removeprefix('chapters/')}{anchor})"
    if path.startswith("notebooks/"):
        return f"[{text}]({Path(path).stem}-lab.md{anchor})"
    if config.repo_url:
        return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path}{anchor})"
    return text


def on_page_content(html, page, config, files):
    """Puts the diagrams into the page itself, where they take on its colours; leads to the explorer."""
    if files.get_file_from_path(births.NAME) and (chapter := re.fullmatch(r"(\d\d)-\w+\.md", page.file.src_uri)):
        html = html.replace("</h1>", "</h1>\n" + births.link(int(chapter[1])), 1) + births.frame(int(chapter[1]))
    html = BLOCK.sub(unfound, LINE.sub(line, html))
    return DIAGRAM.sub(lambda image: inline(image, config), html)


def line(begin):
    """A line of code, which tells its indent: where it is too long it goes on further in."""
    space = len(re.sub("<[^>]*>", "", begin[1]))
    return f'<span style="--in:{space}">{begin[1]}' if space else f"<span>{begin[1]}"


def unfound(block):
    long = block[2].rstrip().count("\n") >= FOUND
    return f"<pre{block[1]}{' data-search-exclude' * long}>"


def inline(image, config):
    """The picture; and its narrow twin, if it has one, of which a page shows the one that fits."""
    folder = Path(config.docs_dir) / "diagrams"
    twin = folder / f"{image[3]}-narrow.svg"
    if not twin.exists():
        return f'<span class="diagram">{drawn(folder / f"{image[3]}.svg", image[1])}</span>'
    return (f'<span class="diagram"><span class="wide">{drawn(folder / f"{image[3]}.svg", image[1])}'
            f'</span><span class="narrow">{drawn(twin, image[1])}</span></span>')


def drawn(path, words):
    """An SVG without its own colours, but with words for those who hear the page."""
    svg = re.sub(r"<style>.*?</style>\n", "", path.read_text(encoding="utf-8"), flags=re.S)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{words}" ', 1).strip()


def on_post_page(output, page, config):
    """Gives the theme's search dialog the name that it lacks, for those who hear the page."""
    return output.replace('data-md-component="search" role="dialog"',
                          'data-md-component="search" role="dialog" aria-label="Search"')


def on_post_template(output_content, template_name, config):
    return on_post_page(output_content, None, config)  # 404.html
