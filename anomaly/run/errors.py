"""What can go wrong on the user's side, each as one line that names the file or option and says what to do."""

import os
import sys
import traceback
from collections.abc import Callable


class DataError(Exception):
    """Something is wrong with a file, a folder or a device. Exit code 1."""

    exit_code = 1


class UsageError(DataError):
    """Something is wrong with an option. Exit code 2."""

    exit_code = 2


def first_line(error: Exception, length: int = 120) -> str:
    """What an exception says, short enough for one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:length]


def guarded(main: Callable) -> int:
    """Runs a command; what the user can mend is one line and an exit code, 2 for usage and 1 for the rest."""
    try:
        return main() or 0
    except KeyboardInterrupt:
        code, line = 130, "stopped"
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        code, line = explain(error)
    print(f"error: {line}", file=sys.stderr)
    return code


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
