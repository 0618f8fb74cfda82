"""What can go wrong on the user's side, each as one line that names the file or option and says what to do."""

import sys
import traceback
from collections.abc import Callable

from anomaly.run import leftovers, streams


class DataError(Exception):
    """Something is wrong with a file, a folder or a device. Exit code 1."""

    exit_code = 1


class Terminated(KeyboardInterrupt):
    """A SIGTERM has come, which ends a command as Ctrl-C does, with another exit code."""


class UsageError(DataError):
    """Something is wrong with an option. Exit code 2."""

    exit_code = 2


def first_line(error: Exception, length: int = 120) -> str:
    """What an exception says, short enough for one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:length]


def guarded(main: Callable) -> int:
    """Runs a command; what the user can mend is one line and an exit code, 2 for usage and 1 for the rest."""
    streams.mend()
    code, line = _ended(main)
    reason = streams.trouble()
    if reason and not line:
        code, line = code or 1, f"standard output: cannot be written: {reason}"
    if line:
        tell(line)
    return code


def tell(error: object) -> None:
    """One line on standard error."""
    print(f"error: {streams.one_line(leftovers.settled(str(error)))}", file=sys.stderr)


def _ended(main: Callable) -> tuple:
    """Exit code and, where something went wrong, one line."""
    try:
        return main() or 0, ""
    except SystemExit as stop:  # of argparse, which has said what was asked for
        return int(stop.code or 0), ""
    except Terminated:
        return 143, "stopped"
    except KeyboardInterrupt:
        return 130, "stopped"
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        return explain(error)


def explain(error: Exception) -> tuple:
    """Exit code and one line."""
    if isinstance(error, DataError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return 1, f"out of memory ({error}); try a smaller --resize, --coreset_ratio or --batch_size"
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("anomaly"):
        remedy = "source .venv/bin/activate, or pip install -r requirements.txt"
        return 1, f"{sys.executable} has no package {error.name}; {remedy}"
    if isinstance(error, OSError) and error.strerror:
        return 1, f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return 1, f"unexpected: {type(error).__name__}: {first_line(error, 300)} (--debug shows where)"
