"""The commands: one file each, with its flags and what it does. Each runs for any method."""

import importlib
from collections.abc import Callable, Sequence
from typing import Optional


def command(name: str, method: str) -> Callable[[Optional[Sequence[str]]], int]:
    """The main function of a method's command."""

    def main(argv: Optional[Sequence[str]] = None) -> int:
        from anomaly import methods  # only now: where a package is missing, `guarded` says so in one line

        return importlib.import_module(f"anomaly.commands.{name}").run(methods.get(method), argv) or 0

    return main
