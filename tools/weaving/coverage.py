"""Literate coverage: each line of code stands in the book at least once, where its reader wants it.

That is in chapters 1 to 9, or in the part behind them, "The rest of the code": pages 80 to 89.
"""
import re

CHAPTERS = [f"{number:02}" for number in range(1, 10)]


def chapter_of(page):
    """The number of a page, if it is one of the chapters that count."""
    match = re.fullmatch(r"(\d\d)-.*\.md", page.path.name)
    return match[1] if match and match[1] in CHAPTERS else None


def counts(page):
    """Whether what a page quotes counts."""
    return chapter_of(page) or re.fullmatch(r"8\d-.*\.md", page.path.name)


def due(module, written):
    """Whether a module must be quoted by now: its chapter is written, or all are."""
    match = re.match(r"ch(\d\d)_", module)
    return match[1] in written if match else set(written) == set(CHAPTERS)


def report(library, pages, out):
    """Prints what is quoted and what is not; returns the number of faults."""
    quoted = set()  # (module, line)
    for page in pages:
        for block in page.blocks if counts(page) else ():
            if block.kind == "quote" and block.source:
                module, first, last = block.source
                quoted.update((module, line) for line in range(first, last + 1))
    written = {chapter_of(page) for page in pages} - {None}
    faults = 0
    for module, source in library.sources.items():
        if not source.code:
            continue  # what makes a folder a package
        missing = [n for n in sorted(source.code) if (module, n) not in quoted]
        percent = 100 * (len(source.code) - len(missing)) // max(1, len(source.code))
        wanted = due(module, written)
        why = "" if wanted else "  (its chapter is not written yet)"
        print(f"{percent:4}%  {module}{why}", file=out)
        if wanted:
            faults += len(missing)
            for first, last, owner in ranges(missing, source.owner, source.code):
                print(f"       {module}:{lines(first, last)}  {owner}: not quoted", file=out)
    return faults


def ranges(numbers, key, code):
    """(first, last, key) of lines with the same key and no other code between them."""
    found = []
    for number in numbers:
        if found and found[-1][2] == key(number) and not code.intersection(
                range(found[-1][1] + 1, number)):
            found[-1][1] = number
        else:
            found.append([number, number, key(number)])
    return found


def lines(first, last):
    return str(first) if first == last else f"{first}-{last}"
