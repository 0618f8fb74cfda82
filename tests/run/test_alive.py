"""Processes that end too early are noticed by all others, and those that have done their part by none."""

import contextlib
import socket
import subprocess
import sys

import pytest
from shell import ROOT, free_port, until

from anomaly.run.alive import Watch

ONE = """
import sys, time
from anomaly.run import alive
alive.GRACE = 0
rank, port, how = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
watch = alive.Watch(rank, 3, address=("127.0.0.1", port))
while len(watch.others) < (2 if rank == 0 else 1):
    time.sleep(0.01)
print("met", flush=True)
sys.stdin.readline()  # all have met
if how == "done":
    watch.finish()
elif how != "fails":
    time.sleep(60)
sys.exit(how == "fails")
"""


def started(hows) -> list:
    """Three processes, which have met before one of them ends."""
    port, environment = free_port(), {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
    made = [
        subprocess.Popen(
            [sys.executable, "-c", ONE, str(rank), str(port), how],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, how in enumerate(hows)
    ]
    assert [each.stdout.readline() for each in made] == ["met\n"] * 3
    for each in made:
        each.stdin.write("\n")
        each.stdin.flush()
    return made


@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("how", ["killed", "fails"])
def test_the_others_end_and_say_which_one_has_ended(rank, how):
    made = started([how if each == rank else "works" for each in range(3)])
    if how == "killed":
        made[rank].kill()
    for other in made[:rank] + made[rank + 1 :]:
        _, said = other.communicate(timeout=20)
        assert other.returncode == 1
        machine = "127.0.0.1" if rank == 0 else socket.gethostname()
        assert said == f"error: process {rank} of 3, on {machine}, has ended, so this one ends too\n"


def test_one_that_has_done_its_part_ends_nobody():
    made = started(["done", "done", "done"])
    assert [each.wait(timeout=20) for each in made] == [0, 0, 0]
    assert [each.stderr.read() for each in made] == ["", "", ""]
    lost, port = [], free_port()
    first = Watch(0, 3, address=("127.0.0.1", port), lost=lost.append)
    second = Watch(1, 3, address=("127.0.0.1", port), lost=lost.append)
    third = Watch(2, 3, address=("127.0.0.1", port), lost=lost.append)
    until(lambda: len(first.others) == 2)
    third.finish()
    third.others[0].shutdown(socket.SHUT_RDWR)
    second.others[0].shutdown(socket.SHUT_RDWR)
    until(lambda: len(lost) == 2)  # the second notices it too
    [first_said] = [each for each in lost if each.startswith("process 1 of 3, on ")]
    assert [each for each in lost if each != first_said] == ["process 0 of 3, on 127.0.0.1, has ended"]


@pytest.mark.parametrize("words", [b"", b"9 there\n", b"0 there\n", b"1\n", b"GET / HTTP/1.1\n", b"x" * 5000])
def test_a_stranger_is_shown_out(words):
    lost, port = [], free_port()
    first = Watch(0, 2, address=("127.0.0.1", port), lost=lost.append)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
        stranger.sendall(words)
        stranger.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(100) == b""
    assert not lost and not first.others
    second = Watch(1, 2, address=("127.0.0.1", port), lost=lost.append)
    until(lambda: first.others and second.others)
    assert not lost


def test_a_first_process_that_is_not_there_has_ended_and_one_behind_a_wall_is_told(monkeypatch, capsys):
    monkeypatch.setattr("anomaly.run.alive.PATIENCE", 0.3)
    heard = []
    Watch(1, 2, address=("127.0.0.1", free_port()), lost=heard.append)
    until(lambda: heard)
    assert heard == ["process 0 of 2, on 127.0.0.1, has ended"]
    Watch(1, 2, address=("no.such.machine.invalid", 1), lost=heard.append)
    until(lambda: "cannot be reached" in capsys.readouterr().out)
    assert len(heard) == 1
