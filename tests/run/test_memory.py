"""What may be taken is what is free, of the machine, of a container, and of what the user allows."""

import mmap

import numpy as np
import pytest

from anomaly.run import memory
from anomaly.run.errors import DataError
from anomaly.run.memory import Scratch


@pytest.fixture(autouse=True)
def no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "none")
    yield
    memory.limit(0)


def test_the_machine_tells_what_is_free():
    with open("/proc/meminfo") as lines:
        total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal"))
    assert 0 < memory.available() < total


def test_a_limit_counts_what_the_process_has_taken():
    memory.limit(1000)
    free = memory.available()
    memory.limit(memory._resident() / memory.GB + 1)
    before = memory.available()
    assert before <= 0.5e9 < free
    taken = mmap.mmap(-1, 100_000_000)  # not from what was freed before
    np.frombuffer(taken, np.uint8)[:] = 1
    assert before - memory.available() == pytest.approx(0.1e9, rel=0.2)
    memory.limit(0.001)
    assert memory.available() == 0


def test_a_container_has_less_than_its_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000000000\n")
    (tmp_path / "memory.current").write_text("2000000000\n")
    assert memory.available() == 2_500_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() > 2_500_000_000


def test_what_does_not_fit_is_said():
    memory.limit(0.001)
    with pytest.raises(DataError, match=r"everything 2\.0 GB of memory and 0\.0 GB are free; use less"):
        memory.require(2e9, "everything", hint="use less")


@pytest.mark.parametrize("free, folder, kind", [(1000, True, "memory"), (10, True, "file"), (10, False, "none")])
def test_arrays_go_where_there_is_room(tmp_path, monkeypatch, free, folder, kind):
    monkeypatch.setattr(memory, "available", lambda: free)
    scratch = Scratch(100, tmp_path if folder else None, share=0.5)
    assert scratch.kind == kind
    if kind != "none":
        one, other = scratch.empty((5,)), scratch.empty((2, 5), np.float16)
        one[:], other[:] = 1, 2
        assert one.sum() == 5 and other.sum() == 20 and other.dtype == np.float16
    assert len(list(tmp_path.rglob("*.npy"))) == (2 if kind == "file" else 0)
    del scratch
    assert not list(tmp_path.iterdir())


def test_a_full_disk_takes_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 0)
    assert Scratch(1 << 60, tmp_path, share=0.5).kind == "none"
