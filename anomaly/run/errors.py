"""What can go wrong on the user's side, each as one line that names the file or option and says what to do."""


class DataError(Exception):
    """Something is wrong with a file, a folder or a device. Exit code 1."""

    exit_code = 1


class UsageError(DataError):
    """Something is wrong with an option. Exit code 2."""

    exit_code = 2


def first_line(error: Exception, length: int = 120) -> str:
    """What an exception says, short enough for one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:length]
