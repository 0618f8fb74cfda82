"""The command `anomaly` of an installed package, which does what the scripts in the methods' folders do.

anomaly train patchcore --dataset_path data --category bottle
"""

import ast
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

from anomaly import __version__
from anomaly.run.errors import UsageError, guarded
from anomaly.run.files import method_names

# Commands that need no method.
TOOLS = {
    "toydata": "anomaly.data.toydata",
    "fetch": "anomaly.commands.fetch",
    "check": "anomaly.commands.check",
    "threshold": "anomaly.commands.threshold",
    "compare": "anomaly.commands.compare",
    "watch": "anomaly.commands.watch",
    "serve": "anomaly.commands.serve",
}
HELP = ("-h", "--help")

TEXT = """usage: anomaly COMMAND METHOD [options]
       anomaly toydata DEST [options]
       anomaly fetch WEIGHTS [options]
       anomaly check DATA [options]
       anomaly threshold STATE [options]
       anomaly compare --dataset_path DATA [options]
       anomaly watch FOLDER --model MODEL --results FILE [options]
       anomaly serve --model MODEL [options]
       anomaly --version

commands:
{commands}

methods: {methods}

anomaly COMMAND METHOD --help lists the options."""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """The exit code; what the user can mend is one line."""
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: run(words))


def run(words: list) -> int:
    if words == ["--version"]:
        print(__version__)
        return 0
    if words and words[0] in TOOLS:
        return called(f"anomaly {words[0]}", importlib.import_module(TOOLS[words[0]]).main, arguments=words[1:])
    from anomaly.run.options import COMMANDS

    if set(words[:2]) & set(HELP):  # after a method they are the command's own
        print(usage(COMMANDS, method_names()))
        return 0
    name = one_of((*COMMANDS, *TOOLS), words[:1], kind="command")
    method = one_of(method_names(), words[1:2], kind="method")
    from anomaly.commands import command  # only now: the rooms of the methods bring numpy and opencv with them

    return called(f"anomaly {name} {method}", command(name, method), arguments=words[2:])


def one_of(there: tuple, words: list, *, kind: str) -> str:
    """The word that stands in the place of a command or method, if it is one."""
    if not words or words[0] not in there:
        named = words and not words[0].startswith("-")
        asked = f"{words[0]}: no such {kind}" if named else f"a {kind} is needed here"
        raise UsageError(f"{asked}; there are {', '.join(there)} (anomaly --help)")
    return words[0]


def called(program: str, function: Callable, *, arguments: list) -> int:
    """Under the program's name, which argparse shows in the usage."""
    sys.argv[0] = program
    return function(arguments) or 0


def usage(commands: tuple, methods: tuple) -> str:
    """One line for each command, the first of its module's docstring."""
    places = {**{name: f"anomaly.commands.{name}" for name in commands}, **TOOLS}
    lines = [f"  {name:<13}{first_line(place)}" for name, place in places.items()]
    return TEXT.format(commands="\n".join(lines), methods=", ".join(methods))


def first_line(module: str) -> str:
    place = (
        Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    )  # read, since importing takes time
    return str(ast.get_docstring(ast.parse(place.read_text(encoding="utf-8")))).splitlines()[0].format(title="METHOD")


if __name__ == "__main__":
    sys.exit(main())
