"""Chapter 12: the facts about documents that are found by their hash, and layers upon each other."""
from .facts import came_up, collector, drawn, must

FACTS, fact = collector()
BASE = """
import errno, hashlib, io, os, stat, tarfile
import __main__
from crabcan_steps import ch12_images
from crabcan_steps.images.errors import Corrupt, ImageError
from crabcan_steps.images.merged import Merged
from crabcan_steps.images.stream import Stream
from crabcan_steps.images.tree import Tree
from crabcan_steps.images.unpack import Unpack
WORD, PREFIX, made = {word!r}, "user.overlay.", []
given = {{}}  # a tmpfs has such attributes since Linux 6.6

def setxattr(fd, name, value):
    given[os.fstat(fd).st_ino, name] = value

def getxattr(fd, name):
    return given[os.fstat(fd).st_ino, name] if (os.fstat(fd).st_ino, name) in given else real(fd, name)
real, os.setxattr, os.getxattr = os.getxattr, setxattr, getxattr

def packed(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in members:
            info = tarfile.TarInfo(name)
            if text is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif text.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, text[2:]
            else:
                info.size = len(text)
            tar.addfile(info, io.BytesIO(b"" if text is None or info.linkname else text.encode()))
    return out.getvalue()

def lay(*layers):
    for fd in made:
        os.close(fd)
    made.clear()
    for members in layers:
        where = f"/tmp/{{os.urandom(6).hex()}}"
        os.mkdir(where)
        fd = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
        lower = Merged(list(made), PREFIX)
        work = Unpack(Tree(fd, lower), PREFIX, 1000, rich=False, squash=True)
        with io.BytesIO(packed(members)) as file:
            work.all(Stream(file, 1 << 20))
        lower.close()
        made.insert(0, fd)

def shown(*layers):
    try:
        lay(*layers)
    except ImageError as error:
        return say("refused", error)
    merged, todo, found = Merged(made, PREFIX), [()], []
    while todo:
        path = todo.pop()
        for name in sorted({{name for fd in merged.folders(path) for name in os.listdir(fd)}}):
            there = merged.find((*path, name))
            if there:
                whole, mode = (*path, name), there[2].st_mode
                found.append("/".join(whole) + ("/" if stat.S_ISDIR(mode) else "=" + merged.read(whole, 99).decode()))
                todo += [whole] if stat.S_ISDIR(mode) else []
    say("shown", *sorted(found))
try:
{steps}
except BaseException as error:
    __main__.raised(error)
"""


def steps(machine, text, word=""):
    """What a script prints, as lines; `shown` lays layers one upon the other, and tells what is to be seen."""
    body = "".join(f"    {line}\n" for line in text.strip().splitlines())
    return came_up(machine.script(BASE.format(word=word or drawn(), steps=body))).out.splitlines()


def same(seen, wanted, why):
    """A line of `shown`, exactly."""
    must(seen == wanted, seen, why)


@fact(1, "a whiteout hides what is below, and is no file itself", "")
def hidden(machine):
    word = drawn()
    seen = steps(machine, """
shown([("etc", None), ("etc/one", WORD), ("etc/two", WORD)], [("etc/.wh.one", "")])
shown([("etc", None), ("etc/one", WORD)], [(".wh.etc", "")])
shown([("a", WORD)], [(".wh.none", ""), ("b", "x")])
say("raw", *os.listdir(made[0]))""", word)
    must(len(seen) == 4, " ".join(seen), "apply() calls hide() for each whiteout that note() has collected")
    same(seen[0], f"shown etc/ etc/two={word}", ".wh.one hides etc/one of the layers below, and leaves nothing of that name")
    same(seen[1], "shown", "a directory can be hidden, too, with all that is in it")
    same(seen[2], f"shown a={word} b=x", "where nothing is below, there is nothing to hide")
    same(seen[3], "raw b", "where nothing is below no sign is left: in a directory of one layer only overlayfs would show it")
    return "so"


@fact(1, "it says nothing about its own layer, in any order", "")
def own(machine):
    seen = steps(machine, """
shown([("x", "old")], [("x", "new"), (".wh.x", "")])
shown([("x", "old")], [(".wh.x", ""), ("x", "new")])""")
    for line in seen:
        same(line, "shown x=new", "a whiteout says nothing about its own layer: what that has of the name stays, whether it "
             "comes before the whiteout or behind it")
    return must(len(seen) == 2, " ".join(seen), "both layers can be laid") and "so"


@fact(1, "a directory that was removed and made again is new", "")
def again(machine):
    seen = steps(machine, """
shown([("v", None), ("v/a", "a")], [(".wh.v", ""), ("v", None), ("v/b", "b")])
shown([("t", None), ("l", "->t")], [(".wh.l", ""), ("l/new", "x")])""")
    must(len(seen) == 2, " ".join(seen), "both layers can be laid")
    same(seen[1], "shown l/ l/new=x t/", "a link that is gone is not followed any more: the tree is told what is hidden (tree.hidden)")
    same(seen[0], "shown v/ v/b=b", "a directory of that name in the whiteout's own layer is a new one: it is marked, so "
         "that it is not mixed with the old one")
    return "so"


@fact(1, "an opaque directory shows its own layer only", "")
def opaque(machine):
    seen = steps(machine, """
shown([("v", None), ("v/a", "a")], [("v", None), ("v/.wh..wh..opq", ""), ("v/b", "b")])
shown([("v", None), ("v/a", "a")], [("v/b", "b"), ("v/.wh..wh..opq", "")])
shown([("v", None), ("v/a", "a")], [("v/.wh..wh..opq", "")])
shown([("v", None), ("v/a", "a")], [("v/.wh..wh..opq", "")], [("v/c", "c")])""")
    must(len(seen) == 4, " ".join(seen), "apply() calls cover() for each opaque directory that note() has collected")
    for line in seen[:2]:
        same(line, "shown v/ v/b=b", ".wh..wh..opq hides all of that directory below, and nothing of its own layer")
    same(seen[2], "shown v/", ".wh..wh..opq hides all of that directory below; the directory itself stays")
    same(seen[3], "shown v/ v/c=c", "and layers above may fill it again")
    return "so"


@fact(1, "an opaque directory hides a link below, and does not follow it", "")
def over_link(machine):
    seen = steps(machine, """
shown([("t", None), ("t/x", "x"), ("l", "->t")], [("l", None), ("l/.wh..wh..opq", "")])""")
    same(" ".join(seen), "shown l/ t/ t/x=x", "the link of the lower layer is hidden; where it leads is another directory")
    return "so"


@fact(1, "what is no whiteout of a name", "")
def names(machine):
    seen = steps(machine, """
shown([("a", "a")], [(".wh..wh.plnk", ""), ("b", "b")])
shown([("d", None), ("a", "a")], [("d/.wh...", "")])
shown([("d", None), ("a", "a")], [("d/.wh..", "")])""")
    same(seen[0], "shown a=a b=b", "names that begin with .wh..wh. are aufs' own: no files, and no whiteouts")
    for line in seen[1:]:
        must(line.startswith("refused"), line, ".wh. and then . or .. would hide the directory itself, or the one above: that is "
             "nobody's name, and refused (ImageError)")
    return must(len(seen) == 3, " ".join(seen), "") and "so"


@fact(2, "a document is the one that was asked for", "")
def document(machine):
    word = drawn()
    seen = steps(machine, """
for data in (WORD.encode(), WORD.encode() + b"!", bytes(ch12_images.LARGEST + 1)):
    digest = "sha256:" + hashlib.sha256(data if len(data) > 99 else WORD.encode()).hexdigest()
    try:
        say("read", ch12_images.verified(io.BytesIO(data), digest, "here") == data)
    except Corrupt as error:
        say("corrupt", error.digest == digest, hashlib.sha256(data).hexdigest() in str(error) or len(data) > 99)""", word)
    must(seen[:1] == ["read True"], " ".join(seen), "what its digest says is given back as it is")
    must(seen[1:2] == ["corrupt True True"], seen[1:2], "is another document than the digest says: Corrupt, with both digests")
    return must(seen[2:] == ["corrupt True True"], seen[2:], "more than LARGEST is not read: whoever hashes without end "
                "waits for ever") and "so"


@fact(2, "a layer has two hashes, and each has its own meaning", "")
def hashes(machine):
    seen = steps(machine, """
one, two = ("sha256:" + hashlib.sha256(text).hexdigest() for text in (b"packed", b"tar"))
for words in ((one, two, one, two), (two, two, one, two), (one, one, one, two)):
    try:
        say("good", ch12_images.compare(*words))
    except ImageError as error:
        say(type(error).__name__, one in str(error), two in str(error))""")
    must(seen[:1] == ["good None"], " ".join(seen), "the diff id is the hash of the tar, the digest that of the blob as it is "
         "stored: these are right")
    must(seen[1:2] == ["Corrupt True True"], seen[1:2], "the blob is another: Corrupt, as it can be fetched again")
    return must(seen[2:] == ["ImageError True True"], seen[2:], "the diff id is the hash of the tar, and here it is not: "
                "ImageError, as no second try helps") and "so"


@fact(2, "a name leads one step, and never through a link", "")
def one_step(machine):
    seen = steps(machine, """
os.makedirs("/tmp/s/d"); os.symlink("/nowhere/else", "/tmp/s/l"); open("/tmp/s/f", "w").close()
top = os.open("/tmp/s", os.O_RDONLY)
say("folder", os.path.samestat(os.fstat(ch12_images.step(top, "d")), os.stat("/tmp/s/d")))
say("link", ch12_images.step(top, "l"))
say("file", ch12_images.step(top, "f"))
try:
    say("none", ch12_images.step(top, "none"))
except FileNotFoundError:
    say("none is told")
os.mkdir("/tmp/outside")
shown([("d", "->/tmp/outside")], [("d/new", "x")])
say("outside", *os.listdir("/tmp/outside"))
shown([("d", "->../../../../tmp/outside"), ("d/new", "x")])
say("outside", *os.listdir("/tmp/outside"))""")
    out = [line.strip() for line in seen if line.startswith("outside")]
    must(not any(line != "outside" for line in out), " ".join(seen), "a link in the archive has led out of the root, and a file "
         "was written there: OPEN has O_NOFOLLOW, and it must stay")
    must("link /nowhere/else" in seen, " ".join(seen), "where a link stands its text is given back: followed, it would lead out of "
         "the root")
    must("folder True" in seen, " ".join(seen), "a directory is given back as a descriptor")
    must("file None" in seen and "none is told" in seen, " ".join(seen), "a file is None, and what is not there raises "
         "FileNotFoundError")
    return must(len(out) == 2, " ".join(seen), "") and "so"
