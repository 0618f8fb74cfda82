"""Results that survive: torn lines, odd names, two programs, full disks."""

import csv
import json
import os

import pytest

from anomaly.line import journal
from anomaly.line.journal import HEADER, Journal, Seen
from anomaly.run.errors import DataError, UsageError
from anomaly.run.streams import shown, unshown

NAMES = [
    "a.png",
    'b,"c.png',
    "line\nbreak.png",
    "\u2028.png",
    "'=1+1.png",
    os.fsdecode(b"\xff\xfe.png"),
    '"quoted".png',
    "汉.png",
]


def row(name: str, *, score: float = 1.5, verdict: str = "NORMAL", **more) -> dict:
    region = {"box": [1, 2, 3, 4], "area": 5, "peak": 0.1, "normalised": 0.6, "at": [1, 2]}
    return {
        "path": name,
        "verdict": verdict,
        "score": score,
        "normalised": 0.2,
        "threshold": 3.0,
        "method": "patchcore",
        "backbone": "tiny",
        "regions": [region],
        "error": None,
        "time": "2020-01-01T00:00:00+00:00",
        "bytes": 12,
        "modified": 1700000000123456789,
        "content": "abc",
        **more,
    }


@pytest.fixture(params=["results.csv", "results.jsonl"])
def path(request, tmp_path):
    return tmp_path / "deep" / request.param


def names_in(path) -> list:
    if path.suffix == ".jsonl":
        return [json.loads(line)["path"] for line in path.read_bytes().decode().split("\n")[:-1]]
    with open(path, newline="", encoding="utf-8") as file:
        return [unshown(row["path"]) for row in csv.DictReader(file)]


def test_what_was_added_is_known_again(path):
    with Journal(path) as made:
        made.add([row(name, verdict="ANOMALOUS") for name in NAMES[:3]])
        made.add([row(name) for name in NAMES[3:]])
    assert names_in(path) == NAMES
    assert len(path.read_bytes().split(b"\n")) == len(NAMES) + 1 + (path.suffix == ".csv")  # no name has made a line
    with Journal(path) as again:
        assert list(again.done) == NAMES
        assert again.done["a.png"] == Seen(12, 1700000000123456789, "abc", "ANOMALOUS")
        assert list(again.scores(3.0)) == [1.5] * len(NAMES) and list(again.scores(3.0)) == []
    with Journal(path) as again:
        assert list(again.scores(4.0)) == []


@pytest.mark.parametrize("cut", [1, 30, 150, -1])
def test_a_torn_line_is_cut_off_wherever_it_was_torn(path, cut):
    with Journal(path) as made:
        made.add([row("a.png")])
    whole = path.read_bytes()
    with Journal(path) as made:
        made.add([row("b.png")])
    path.write_bytes(path.read_bytes()[: len(whole) + cut] if cut > 0 else path.read_bytes()[:-1])
    with Journal(path) as again:
        assert list(again.done) == ["a.png"]
        again.add([row("b.png")])
    assert names_in(path) == ["a.png", "b.png"]


def test_a_torn_first_line_is_known_as_ours_wherever_it_was_torn(tmp_path):
    path = tmp_path / "results.jsonl"
    with Journal(path) as made:
        made.add([row('odd\\ "name".png')])
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with Journal(path) as again:
            assert not again.done
        assert path.read_bytes() == b""


def test_a_torn_header_is_written_again(tmp_path):
    path = tmp_path / "results.csv"
    for content in (HEADER[:20], ""):
        path.write_text(content)
        with Journal(path) as made:
            made.add([row("a.png")])
        assert names_in(path) == ["a.png"]


def test_a_line_in_the_middle_that_says_nothing_stays_and_is_counted(path):
    with Journal(path) as made:
        made.add([row("a.png")])
    path.write_bytes(path.read_bytes() + b"\0\0\0 nothing\n\xff\xfe\n\n[1]\n" + bytes(200_000) + b"\n")
    path.write_bytes(path.read_bytes() + b"[" * 100_000 + b"\n")
    with Journal(path) as again:
        assert again.damaged == 6 and list(again.done) == ["a.png"]
    assert b"nothing" in path.read_bytes()


def test_nothing_of_others_is_written_to(tmp_path):
    for name, content in (
        ("a.csv", "path,verdict\n"),
        ("b.jsonl", "[]\n"),
        ("c.csv", '{"path": 1}'),
        ("d.jsonl", '{"path": "a.png", "label": 1}\n{"path": "b.pn'),
        ("e.jsonl", '{"path": "a.png", "label": 1}'),
        ("f.jsonl", '{"path": "a.png"}'),
        ("g.jsonl", '{"path": 1}'),
        ("h.jsonl", "[" * 100_000 + "\n"),
        ("i.jsonl", '{"path": "a", "x": ' + "[" * 100_000 + "\n"),
    ):
        (tmp_path / name).write_text(content)
        if name != "c.csv":
            with pytest.raises(DataError, match="not written by this program"):
                Journal(tmp_path / name).__enter__()
        assert (tmp_path / name).read_text() == content
    with pytest.raises(UsageError, match="csv"):
        Journal(tmp_path / "a.txt")
    with pytest.raises(DataError):
        Journal(tmp_path / "a.csv" / "b.csv").__enter__()


def test_one_at_a_time(path):
    with Journal(path), pytest.raises(DataError, match=rf"another watch \(process {os.getpid()}\) writes"):
        Journal(path).__enter__()
    with Journal(path):
        pass


def test_a_full_disk_leaves_no_half_line(path, monkeypatch):
    with Journal(path) as made:
        made.add([row("a.png")])
        before, write = path.read_bytes(), os.write
        monkeypatch.setattr(journal.os, "write", lambda file, content: write(file, content[:30]))
        with pytest.raises(DataError, match="cannot be written"):
            made.add([row("b.png")])
        monkeypatch.undo()
        assert path.read_bytes() == before and list(made.done) == ["a.png"]


def test_a_file_that_is_taken_away_is_said_and_nothing_goes_on_without_it(path):
    with Journal(path) as made:
        made.add([row("a.png")])
        path.rename(path.with_name("old"))
        for _ in range(2):
            with pytest.raises(DataError, match="removed, renamed or replaced"):
                made.add([row("b.png")])
            path.write_text("")  # another file of its name
        assert list(made.done) == ["a.png"]
    path.unlink()
    path.with_name("old").rename(path)
    assert names_in(path) == ["a.png"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_on_the_screen_is_one_line_and_comes_back(name):
    assert shown(name).isprintable() and unshown(shown(name)) == name
