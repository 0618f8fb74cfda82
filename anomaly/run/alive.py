"""Processes of one training notice when one of them has ended, on whatever machine it was.

MindSpore's exchange waits for a process that is no more, on several machines for a day. So each process keeps a
connection to the first one, which a system closes when a process ends, however that happens.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, Optional

from anomaly.run.errors import tell

PATIENCE = 30.0  # seconds in which the first process has to be found
GRACE = 15.0  # and in which one that was stopped, as all were, may end by itself
FAREWELL = b"done"
KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}  # a machine without power is noticed in 30 s


def end(reason: str) -> None:
    """What is in the middle of an exchange cannot be interrupted in another way; what is saving is left the time."""
    tell(f"{reason}, so this one ends too")
    time.sleep(GRACE)
    os._exit(1)


class Watch:
    """Of process `rank` of `size`. `lost` is called with the reason, in a thread, when another has ended too early."""

    def __init__(self, rank: int, size: int, *, address: tuple, lost: Callable[[str], None] = end):
        self.rank, self.size, self.lost = rank, size, lost
        self.finished = False  # here, or, of the first process, anywhere
        self.lock = threading.Lock()
        self.others: dict[int, socket.socket] = {}  # of the first process: rank -> connection
        self.server: Optional[socket.socket] = None
        if rank == 0:
            self.server = socket.create_server(address, backlog=size)
            threading.Thread(target=self._accept, daemon=True).start()
        else:
            connection = self._reach(address)  # before it goes on: one that the first does not know is missed by nobody
            if connection:
                threading.Thread(target=self._follow, args=(connection, address[0]), daemon=True).start()

    def finish(self) -> None:
        """This process has done its part; from here on nobody waits for it."""
        with self.lock:
            self.finished = True
            for connection in self.others.values():
                with contextlib.suppress(OSError):
                    connection.sendall(FAREWELL + b"\n")

    def _accept(self) -> None:
        assert self.server is not None
        while len(self.others) < self.size - 1:
            connection, _ = self.server.accept()
            threading.Thread(target=self._listen, args=(connection,), daemon=True).start()

    def _listen(self, connection: socket.socket) -> None:
        """To one of the others: who it is, and then nothing, until it says farewell or ends."""
        lines = lively(connection).makefile("rb")
        words = said(lines).split()
        if len(words) != 2 or not words[0].isdigit() or not self._welcome(int(words[0]), connection):
            connection.close()
            return
        if said(lines) != FAREWELL:
            who, machine = int(words[0]), words[1].decode("ascii", "replace")
            self._tell_all(f"process {who} of {self.size}, on {machine}, has ended")

    def _welcome(self, rank: int, connection: socket.socket) -> bool:
        with self.lock:
            if not 0 < rank < self.size or rank in self.others:
                return False
            self.others[rank] = connection
            return True

    def _tell_all(self, reason: str) -> None:
        """Of the first that has ended; the others end because of it."""
        with self.lock:
            if self.finished:
                return
            self.finished = True
            for connection in self.others.values():
                with contextlib.suppress(OSError):
                    connection.sendall(reason.encode() + b"\n")
        self.lost(reason)

    def _reach(self, address: tuple) -> Optional[socket.socket]:
        """The first process, which hears who this one is."""
        try:
            connection = found(address)
        except ConnectionRefusedError:  # its machine can be reached, and nobody is there
            self.lost(f"process 0 of {self.size}, on {address[0]}, has ended")
            return None
        except OSError as error:
            place = f"{address[0]}:{address[1]}"
            print(f"warning: {place} cannot be reached ({error}): if a process ends, the others wait for it")
            return None
        with contextlib.suppress(OSError):  # what reads from it then finds its end
            connection.sendall(f"{self.rank} {socket.gethostname()}\n".encode())
        self.others[0] = connection
        return connection

    def _follow(self, connection: socket.socket, machine: str) -> None:
        """What the first process tells of the others; or that it has ended itself."""
        told = said(lively(connection).makefile("rb"))
        if told != FAREWELL and not self.finished:
            self.lost(told.decode("utf-8", "replace") or f"process 0 of {self.size}, on {machine}, has ended")


def found(address: tuple) -> socket.socket:
    """The first process may not listen yet."""
    start = time.monotonic()
    while True:
        try:
            return socket.create_connection(address, timeout=PATIENCE)
        except OSError:
            if time.monotonic() - start > PATIENCE:
                raise
            time.sleep(0.2)


def lively(connection: socket.socket) -> socket.socket:
    """One that notices a machine that is gone without a word."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def said(lines: BinaryIO) -> bytes:
    """The next line; nothing where the connection has ended."""
    try:
        return lines.readline(1000).strip()
    except OSError:
        return b""
