"""Who is in the class: names from a number or from a file, and accounts that go with them."""
import csv
import re
import unicodedata

from .settings import PREFIX
from .system import ClassError

MOST = 250  # learners: as many as there are addresses
LONGEST = 32 - len(PREFIX)  # useradd(8)
HEADS = ("name", "learner", "student")


def numbered(count, before=()):
    """As many learners without names: learner01, learner02 ..."""
    return merged([f"learner{number:02}" for number in range(1, count + 1)], before)


def listed(path, before=()):
    """The learners of a file: a name a line, or a CSV with a column "name" (else the first)."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file, dialect(file)) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClassError(f"{path}: {getattr(error, 'strerror', None) or error}: a file with a name a line is "
                          "wanted, in UTF-8") from error
    column = 0
    if rows and (found := [cell.casefold() for cell in rows[0] if cell.casefold() in HEADS]):
        column = [cell.casefold() for cell in rows[0]].index(found[0])
        rows = rows[1:]
    titles = [row[column] for row in rows if len(row) > column and row[column]]
    if not titles:
        raise ClassError(f"{path}: has no names: one a line is wanted, or a column \"name\"")
    return merged(titles, before)


def dialect(file):
    """Commas, or what a spreadsheet of another country puts in their place."""
    first = file.readline()
    file.seek(0)
    return type("Found", (csv.excel,), {"delimiter": max(",;\t", key=first.count)})


def merged(titles, before):
    """Those that are there already keep their numbers; new ones get the next."""
    learners = {learner["name"]: learner for learner in before}
    seen = {}
    for title in titles:
        name = plain(title)
        if name in seen:
            raise ClassError(f"'{title}' and '{seen[name]}' would both be {name}: make one of them longer")
        seen[name] = title
        if name not in learners:
            used = {learner["number"] for learner in learners.values()}
            number = next(number for number in range(1, MOST + 2) if number not in used)
            learners[name] = {"name": name, "title": title, "number": number}
    if len(learners) > MOST:
        raise ClassError(f"{len(learners)} learners, and a machine takes {MOST}: use another for the rest")
    return list(learners.values())


def plain(title):
    """A name that an account may have: Ana Müller is ana-muller. Raises ClassError."""
    letters = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-")
    if not re.fullmatch(rf"[a-z][a-z0-9-]{{0,{LONGEST - 1}}}", name):
        raise ClassError(f"'{title}': begin with a letter of a to z, and take at most {LONGEST}")
    return name
