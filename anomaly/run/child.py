"""A process that does not outlive the one that began it, however that ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
# Loaded before any fork: between a fork and an exec as little as possible is to happen.
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def dies_with_this(number: int = signal.SIGKILL) -> Callable[[], None]:
    """To be called in the child: the system sends it the signal when the thread that began it ends.

    So begin children in the main thread.
    """
    parent = os.getpid()

    def prepare() -> None:
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # it ended before the call
                os._exit(1)

    return prepare
