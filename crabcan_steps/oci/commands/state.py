"""state and list: what is known of a container, and of all."""
from .. import quickjson
from ..state import Refused, State, every

LISTED = "ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"


def state(root, options, words):
    state = State.open(root, words[0], lock=False)
    more = {key: state.record.get(key) for key in ("rootfs", "created", "owner")}
    print(quickjson.dumps(state.told() | more))
    return 0


def list_(root, options, words):
    rows = []
    for name in every(root):
        try:
            state = State.open(root, name, lock=False)
            row = state.told() | {key: state.record.get(key) for key in ("rootfs", "created", "owner")}
            rows.append({name: row[name] for name in LISTED})
        except Refused:
            pass  # has just been deleted
    if options.get("quiet"):
        print(*(row["id"] for row in rows), sep="\n", end="\n" if rows else "")
    elif options.get("format") == "json":
        print(quickjson.dumps(rows, ",", ":"))
    else:
        lines = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
        lines += [(r["id"], r["pid"], r["status"], r["bundle"], r["created"], user(r["owner"])) for r in rows]
        widths = [max(len(str(line[column])) for line in lines) for column in range(6)]
        for line in lines:
            print(*(str(word).ljust(width) for word, width in zip(line, widths)), sep="   ")
    return 0


def user(uid):
    """A user's name, or the number."""
    import pwd
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
