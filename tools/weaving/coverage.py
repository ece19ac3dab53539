"""Literate coverage: each line of code stands in the book at least once, where its reader wants it.

That is in the page of a chapter (a number that has code), or in the part behind them, "The rest of
the code": pages 70 to 89.
"""
import re

CODE, PAGE, REST = r"ch(\d\d)_.*\.py", r"(\d\d)-.*\.md", r"[78]\d-.*\.md"


def number(pattern, name):
    """The chapter's number in a name of that form; None in others."""
    match = re.fullmatch(pattern, name)
    return match and match[1]


def due(module, written, chapters):
    """Whether a module must be quoted by now: its chapter is written, or all are."""
    own = number(CODE, module)
    return own in written if own else written == chapters


def report(library, pages, out):
    """Prints what is quoted and what is not; returns the number of faults."""
    chapters = {number(CODE, module) for module in library.sources} - {None}
    written = {number(PAGE, page.path.name) for page in pages} & chapters
    quoted, faults = set(), 0  # quoted: (module, line)
    for page in pages:
        name = page.path.name
        counts = number(PAGE, name) in chapters or re.fullmatch(REST, name)
        for block in page.blocks if counts else ():
            if block.kind == "quote" and block.source:
                module, first, last = block.source
                quoted.update((module, line) for line in range(first, last + 1))
    for module, source in library.sources.items():
        if not source.code:
            continue  # what makes a folder a package
        missing = [n for n in sorted(source.code) if (module, n) not in quoted]
        percent = 100 * (len(source.code) - len(missing)) // max(1, len(source.code))
        wanted = due(module, written, chapters)
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
