"""Completion for bash, zsh and fish: the shells ask us, and we look into the table of options."""
from ..args.options import NAMED, ROWS, apart
from ..ch06_caps import KNOWN
from ..ch09_runtime import LAST, NAMES

COMMANDS = {"run": "a container with all layers", "step": "the checkpoint of a chapter",
            "seccomp": "which rule decides about which call", "completion": "for bash, zsh or fish",
            "pull": "bring an image", "images": "which are here", "inspect": "an image's documents",
            "history": "what each step of a build did", "rmi": "remove images", "prune": "remove what nobody needs",
            "save": "an image into files", "push": "an image to a registry", "commit": "a container becomes an image",
            "help": "what there is", "version": "which one this is"}
FIRST = {"run": 1, "step": 2, "seccomp": 1}  # word of each that may be an option
SHELLS = {  # each calls `crabcan complete WORD ...`; where nothing is known it completes files
    "bash": """_crabcan() {
    local words IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT}
    IFS=' ' read -ra words <<<"$line"
    [[ $line != *' ' ]] || words+=("")
    COMPREPLY=($("$1" complete "${words[@]:1}" 2>/dev/null | cut -f1))
    [[ ${words[-1]} != *=* ]] || COMPREPLY=("${COMPREPLY[@]##*=}")
}
complete -o bashdefault -o default -F _crabcan crabcan""",
    "zsh": """_crabcan() {
    local -a found
    found=("${(@f)$("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -z $found[1] ]]; then _files; return; fi
    found=("${(@)found//:/\\\\:}")
    found=("${(@)found/$'\\t'/:}")
    _describe crabcan found
}
compdef _crabcan crabcan""",
    "fish": """function _crabcan
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete $words[2..-1] 2>/dev/null
end
complete -c crabcan -a '(_crabcan)'""",
}


def candidates(words):
    """What the last word may become: {word: a text about it}. Empty: a file, or nothing we know."""
    *before, last = words or [""]
    if not before and not last.startswith("-"):
        known = COMMANDS
    elif before[:1] == ["completion"]:
        known = dict.fromkeys(SHELLS, "") if len(before) == 1 else {}
    elif before == ["step"]:
        known = {str(number): f"chapter {number}" for number in range(1, LAST + 4)}
    else:
        known = after(before[FIRST.get(before[0], 0):] if before else [], last)
    return {word: text for word, text in known.items() if word.startswith(last)}


def after(words, last):
    """The same among options; `words` are those before."""
    while words:
        name, value = apart(words[0])
        row, words = NAMED.get(name), words[1:]
        if not name.startswith("-") or name in ("-", "--"):
            return {}  # the command has begun
        if row and row.metavar and value is None:
            if not words:
                return values(row, last)
            words = words[1:]
    name, equals, value = last.partition("=")
    if equals and name in NAMED:
        return {f"{name}={word}": text for word, text in values(NAMED[name], value).items()}
    return {name: row.text for row in ROWS if row.text for name in row.names} \
        if last.startswith("-") else {}


def values(row, last):
    """What may stand behind an option, where it is no file."""
    lists = {"--cap-add": [*KNOWN, "ALL"], "--cap-drop": [*KNOWN, "ALL"],
             "--layers": ["all", *NAMES, *(f"-{name}" for name in NAMES)]}
    begun = last[:last.rfind(",") + 1]  # of a list with commas
    return {begun + word: "" for word in lists[row.names[0]]} if row.names[0] in lists \
        else dict.fromkeys(row.choices, "")
