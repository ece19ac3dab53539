"""`workshop completion bash|zsh|fish`: what the shell wants, made from the table of sub-commands.

A word that is completed starts nothing: all of it stands in what is printed here.
"""
import re

from . import words

COMMANDS = {"completion": "what your shell wants to complete these words"}
NUMBER = re.compile(r"\[?N\b")
MORE = {  # what the door's own commands take, besides what the table says
    "book": "--host --port", "bundle": "--no-browser", "box": "--arch --virtualbox --as-here --no-add",
    "guest": "--suite --cpus --memory --timeout --setup --keep --only-disk",
    "setup": "--listen --speaker-notes", "bench": "--rounds --json"}
CHOICE = re.compile(r"(?<![\w-])[a-z]+(?=\|)|(?<=\|)[a-z]+")  # of one|two|three
HEADS = {"bash": "# bash: put this into ~/.bashrc:  source <({name} completion bash)",
         "zsh": "#compdef workshop\n# zsh: put this into ~/.zshrc, below compinit:  "
                "source <({name} completion zsh)",
         "fish": "# fish: {name} completion fish >~/.config/fish/completions/workshop.fish"}


def add_arguments(name, parser):
    parser.add_argument("shell", choices=SHELLS, help="whose")


def main(options):
    print(HEADS[options.shell].format(name=words.NAME))
    print(SHELLS[options.shell](known(options.parsers())), end="")
    return 0


def known(parsers):
    """{sub-command: the words that may follow it}: options first, then values."""
    from crabcan_steps.args.options import ROWS
    from crabcan_steps.oci import commandline as oci
    from crabcan_steps.runtime import completion as crabcan

    from .chapters import NUMBERS
    chapters, found = [str(number) for number in NUMBERS], {}
    for name, (arguments, _) in words.COMMANDS.items():
        follow = options(parsers[name]) if name in parsers else ["--help", *MORE.get(name, "").split()]
        follow += re.findall(r"--[a-z-]+", arguments) + CHOICE.findall(arguments)
        if name in ("run", "step"):
            follow += [word for row in ROWS for word in row.names]
        if NUMBER.match(arguments):
            follow += chapters
        found[name] = list(dict.fromkeys(follow))
    found["crabcan"] = [*crabcan.COMMANDS, *found["run"]]
    found["oci"] = [*oci.COMMANDS, "--help"]
    return found


def options(parser):
    """A parser's long options, and the values that they choose from."""
    found = [option for action in parser._actions for option in action.option_strings
             if option.startswith("--")]
    values = [str(value) for action in parser._actions for value in action.choices or ()
              if action.option_strings or isinstance(value, str)]
    return found + values


def bash(known):
    cases = "".join(f"            {name}) words={' '.join(found)!r} ;;\n" for name, found in known.items())
    return f"""_workshop() {{
    local words
    if [ "$COMP_CWORD" = 1 ]; then
        words='{' '.join(known)} --help --version'
    else
        case ${{COMP_WORDS[1]}} in
{cases}        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _workshop workshop
"""


def zsh(known):
    described = "".join(f"        {name}:{quoted(words.COMMANDS[name][1])}\n" for name in known)
    cases = "".join(f"            {name}) compadd -- {' '.join(found)} ;;\n" for name, found in known.items()
                    if found)
    return f"""_workshop() {{
    local -a commands
    commands=(
{described}    )
    if (( CURRENT == 2 )); then
        _describe command commands
    else
        case $words[2] in
{cases}        esac
        _files
    fi
}}
compdef _workshop workshop
"""


def fish(known):
    first = "not __fish_seen_subcommand_from " + " ".join(known)
    lines = []
    for name, found in known.items():
        text = words.COMMANDS[name][1].replace("'", "\\'")
        lines.append(f"complete -c workshop -f -n '{first}' -a {name} -d '{text}'\n")
        if found:
            lines.append(f"complete -c workshop -n '__fish_seen_subcommand_from {name}' "
                         f"-a '{' '.join(found)}'\n")
    return "".join(lines)


def quoted(text):
    """A description for zsh: a colon would end it."""
    return "'" + text.replace("'", "'\\''").replace(":", "\\:") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
