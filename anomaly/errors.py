"""What can go wrong on the user's side, each as one line that names the file or option and says what to do."""


class DataError(Exception):
    """Something is wrong with a file, a folder or a device. Exit code 1."""

    exit_code = 1


class UsageError(DataError):
    """Something is wrong with an option. Exit code 2."""

    exit_code = 2
