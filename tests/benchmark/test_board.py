"""What is shown while the full benchmark runs."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import board, jobs, processes


class Terminal:
    """Remembers what is written; `size` is what the system would tell of it."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def fileno(self):
        return 1

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def some_jobs(folder: Path, count: int = 3) -> list:
    return [jobs.Job("padim", f"c{i}", folder / f"train_c{i}", folder, (), {"task": "train"}) for i in range(count)]


def test_on_a_terminal_the_lines_are_drawn_in_place_and_fit(tmp_path, monkeypatch):
    size = SimpleNamespace(columns=40, lines=10)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    made, terminal = some_jobs(tmp_path), Terminal()
    shown = board.Board(made, 1, terminal)
    made[0].status, made[0].device, made[0].started = jobs.RUNNING, 0, time.monotonic()
    made[0].folder.mkdir()
    made[0].log.write_text("first\n\x1b[1mbar 10%\rbar 50% of 深度深度深度深度深度深度深度\n")
    shown.changed(made[0])
    first = terminal.text.splitlines()
    assert len(first) == 4 and "\x1b[4F" not in terminal.text
    assert first[0].startswith("padim c0: running on device 0 for 0 s") and first[1].startswith("padim c1: waiting")
    assert all(len(line.replace("\x1b[K", "")) < 40 for line in first)
    shown.changed(made[0])
    assert terminal.text.count("\x1b[4F") == 1
    size.lines, drawn = 4, len(terminal.text)
    shown.refresh()
    shown.changed(made[0])
    assert terminal.text[drawn:] == "padim c0: running on device 0\n"


def test_the_time_left_is_judged_by_the_method_s_own_where_known(tmp_path):
    made = some_jobs(tmp_path, 4)
    assert board.left(made, 1, 0.0) is None
    made[0].status, made[0].seconds = jobs.DONE, 100.0
    made[1].status, made[1].started = jobs.RUNNING, 1000.0
    assert board.left(made, 1, 1030.0) == pytest.approx(70 + 2 * 100)
    assert board.left(made, 2, 1030.0) == pytest.approx(135)
    made[3].method = "fastflow"
    assert board.left(made, 1, 1030.0) == pytest.approx(270)
    made[2].status, made[2].method, made[2].seconds = jobs.DONE, "fastflow", 1000.0
    assert board.left(made, 1, 1030.0) == pytest.approx(70 + 1000)
    assert board.summary(made, 1, 1030.0) == "2 of 4 done, about 18 min left"
    assert [board.duration(s) for s in (7, 99.4, 100, 3580, 7500)] == [
        "7 s",
        "99 s",
        "2 min",
        "1 h 00 min",
        "2 h 05 min",
    ]


def test_elsewhere_each_start_and_end_is_a_line(bench):
    done = bench("patchcore")
    lines = done.out.splitlines()
    assert lines[0] == "patchcore carpet: running on device 0"
    assert lines[1].startswith(
        "patchcore carpet: done, image AUROC 0.9000, pixel AUROC 0.8000, 0 s   (1 of 4 done, about"
    )
    assert "\x1b" not in done.out


def test_a_log_s_end_is_found_wherever_a_reader_begins(tmp_path):
    log = tmp_path / "log"
    log.write_text("error: old\n")
    offset = log.stat().st_size
    log.write_text(log.read_text() + "x" * 2 * processes.TAIL + "\nlast\n")
    assert processes.tail(log, offset)[-1] == "last" and "error: old" not in processes.tail(log, offset)
    assert processes.tail(tmp_path / "none") == []
