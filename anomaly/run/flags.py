"""Options as flags of a command."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Optional

from anomaly.run.errors import UsageError
from anomaly.run.options import Options, boolean, explained, from_yaml, not_allowed, parse


def add_flags(parser: argparse.ArgumentParser, cls: type[Options], *, command: str, titles: dict) -> None:
    """The options that the command knows, in groups; `titles`: the name of each group -> its heading, in order."""
    groups = {name: parser.add_argument_group(title) for name, title in titles.items()}
    for spec in dataclasses.fields(cls):
        meta = spec.metadata
        shown = command in meta["commands"]
        if not shown and not meta["trained"]:
            continue
        extra: dict[str, Any] = (
            {"nargs": "+"} if meta["many"] else {"nargs": "?", "const": "true"} if meta["parse"] is boolean else {}
        )
        if meta["whole"]:
            extra["action"] = "extend"
        groups[meta["group"]].add_argument(
            f"--{spec.name}",
            *(f"--{alias}" for alias in meta["aliases"]),
            dest=spec.name,
            default=None,
            metavar=spec.name.upper(),
            help=explained(spec).replace("%", "%%") if shown else argparse.SUPPRESS,
            **extra,
        )


class Parser(argparse.ArgumentParser):
    def __init__(self, text: str) -> None:
        super().__init__(description=text, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse_args(self, args: Optional[Sequence[str]] = None, namespace: Any = None) -> Any:  # type: ignore[override]
        words = list(sys.argv[1:] if args is None else args)
        for word in words:
            if word.startswith("--") and word.endswith("=--"):  # of which argparse would make an empty list
                self.error(f"argument {word[:-3]}: expected one argument")
        return super().parse_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (--help lists the options)")


def checked(parser: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of an option as a flag's `type`: what it does not take is refused in the words of all options."""

    def parse_flag(text: str) -> Any:
        try:
            return parser(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(not_allowed(text, error)) from None

    return parse_flag


def given(cls: type[Options], args: argparse.Namespace) -> dict:
    """What --config and the flags say, parsed, the flags first."""
    found = from_yaml(cls, args.config) if args.config else {}
    for spec in dataclasses.fields(cls):
        value = getattr(args, spec.name, None)
        if value is not None:
            found[spec.name] = parse(spec, value, where=f"--{spec.name}")
    return found
