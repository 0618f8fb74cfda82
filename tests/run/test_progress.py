"""What is shown of long work, on a terminal and in a file of output."""

import io
import sys

import pytest

from anomaly.run import progress
from anomaly.run.progress import Bars, Step, TimeLeft


class Terminal(io.StringIO):
    def __init__(self, is_one: bool) -> None:
        super().__init__()
        self.is_one = is_one

    def isatty(self) -> bool:
        return self.is_one


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(monkeypatch, terminal: Terminal, clock: list, *, seconds: float, pieces: int = 100) -> str:
    monkeypatch.setattr(sys, "stderr", terminal)
    bars = Bars()
    for done in range(pieces + 1):
        bars(Step("coreset", done, pieces, f"loss={done}"))
        clock[0] += seconds / pieces
    return terminal.getvalue()


def test_a_file_of_output_gets_a_line_now_and_then_with_the_time_that_is_left(monkeypatch, clock):
    lines = shown(monkeypatch, Terminal(False), clock, seconds=100).splitlines()
    assert len(lines) == 6
    assert lines[0] == "coreset: 15 %, 15 of 100 picks, about 01:25 left (loss=15)"
    assert lines[-1] == "coreset: 90 %, 90 of 100 picks, about 00:10 left (loss=90)"


def test_what_is_done_soon_needs_no_line(monkeypatch, clock):
    assert shown(monkeypatch, Terminal(False), clock, seconds=10) == ""


def test_what_is_gone_on_with_is_timed_from_there(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal(False))
    bars = Bars()
    bars(Step("training", 50, 100))
    clock[0] += 20
    bars(Step("training", 60, 100))
    assert sys.stderr.getvalue() == "training: 60 %, 60 of 100 epochs, about 01:20 left\n"


def test_a_terminal_gets_a_bar(monkeypatch, clock):
    found = shown(monkeypatch, Terminal(True), clock, seconds=1)
    assert "\r" in found and "100/100" in found


def test_large_pieces_say_which_they_are_and_how_long_the_rest_will_take(clock):
    left = TimeLeft(4)
    assert left.next("run") == "run 1 of 4"
    clock[0] += 30
    assert left.next("run") == "run 2 of 4, about 01:30 left"
    clock[0] += 10
    assert left.next("run") == "run 3 of 4, about 00:40 left"
