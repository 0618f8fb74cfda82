"""Two runs in one folder: the second is refused, and names the first."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from anomaly.run import lock
from anomaly.run.errors import DataError
from anomaly.run.lock import locked

HOLDS = """
import sys, time
from pathlib import Path
from anomaly.run.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """A process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_with_the_number_of_the_first(tmp_path, other):
    with pytest.raises(DataError, match=f"process {other.pid} is at work there"), locked(tmp_path):
        pass


def test_the_lock_of_a_process_that_was_killed_is_taken_over(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert (tmp_path / lock.FILE).read_text() == str(other.pid)  # what it left
    with locked(tmp_path):
        assert (tmp_path / lock.FILE).read_text() == str(os.getpid())
    assert not list(tmp_path.iterdir())


def test_one_after_the_other_is_allowed_also_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path):
            raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_full_disk_does_not_stop_the_lock(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(lock.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    with locked(tmp_path), pytest.raises(DataError, match="process another"), locked(tmp_path):
        pass


def test_a_file_system_without_locks_does_not_stop_the_work(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(lock.errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        pass
