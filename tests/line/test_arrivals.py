"""Which photographs are taken, and when."""

import os
import time
from pathlib import Path

import pytest

from anomaly.line.arrivals import Arrivals
from anomaly.line.journal import Seen


@pytest.fixture
def told() -> list:
    return []


@pytest.fixture
def arrivals(tmp_path, told) -> Arrivals:
    (tmp_path / "in").mkdir()
    return Arrivals(tmp_path / "in", {}, told.append)


def taken(arrivals: Arrivals, now: float) -> list:
    return [each.found.path.name for each in arrivals.take(99, now)]


def test_two_looks_have_to_agree(arrivals):
    path = arrivals.folder / "a.png"
    path.write_bytes(b"1")
    arrivals.look(0)
    assert taken(arrivals, 0) == []
    path.write_bytes(b"12")
    arrivals.look(1)
    assert taken(arrivals, 1) == []
    arrivals.look(2)
    assert taken(arrivals, 2) == ["a.png"]
    os.utime(path, ns=(1, 1))
    arrivals.look(3)
    assert taken(arrivals, 3) == []


def test_the_oldest_comes_first_and_only_photographs_do(arrivals):
    for number, name in enumerate(
        ("c.png", "sub/deep/b.JPG", "a.tiff", ".hidden.png", "d.png.part", "e.txt", ".sub/f.png")
    ):
        path = arrivals.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
        os.utime(path, (100 - number, 100 - number))
    (arrivals.folder / "g.png").mkdir()
    arrivals.look(0)
    arrivals.look(1)
    assert taken(arrivals, 1) == ["a.tiff", "b.JPG", "c.png"]
    assert [each.found.path.name for each in arrivals.take(1, 1)] == ["a.tiff"]


def test_what_is_done_is_not_taken_unless_it_has_changed(arrivals):
    path = arrivals.folder / "a.png"
    path.write_bytes(b"1")
    about = path.stat()
    arrivals.done[str(path)] = Seen(about.st_size, about.st_mtime_ns, "")
    arrivals.look(0)
    arrivals.look(1)
    assert taken(arrivals, 1) == []
    path.write_bytes(b"other")
    arrivals.look(2)
    arrivals.look(3)
    assert taken(arrivals, 3) == ["a.png"]


def test_what_cannot_be_read_is_tried_again_with_pauses_until_patience_ends(arrivals):
    (arrivals.folder / "a.png").write_bytes(b"1")
    arrivals.look(0)
    arrivals.look(1)
    [each] = arrivals.take(9, 1)
    assert arrivals.later(each, 4)
    assert taken(arrivals, 5) == [] and taken(arrivals, 6.5) == ["a.png"]
    assert not arrivals.later(each, arrivals.patience)


def test_what_was_written_long_ago_is_not_waited_for(arrivals):
    for name, age in (("old.png", 40), ("new.png", 10), ("tomorrow.png", -86400)):
        (arrivals.folder / name).write_bytes(b"1")
        os.utime(arrivals.folder / name, (time.time() - age,) * 2)
    arrivals.look(0)
    arrivals.look(1)
    waited_for = {each.found.path.name: arrivals.later(each, 1) for each in arrivals.take(9, 1)}
    assert waited_for == {"old.png": False, "new.png": True, "tomorrow.png": True}


def test_links_that_lead_back_and_folders_that_are_left_out_do_no_harm(arrivals, tmp_path):
    (arrivals.folder / "sub").mkdir()
    (arrivals.folder / "sub" / "back").symlink_to(arrivals.folder, target_is_directory=True)
    (arrivals.folder / "self").symlink_to(".")
    (arrivals.folder / "nowhere.png").symlink_to(tmp_path / "gone")
    for name in ("itself", "itself.png"):
        (arrivals.folder / name).symlink_to(arrivals.folder / name)
    (arrivals.folder / "apart").mkdir()
    (arrivals.folder / "apart" / "a.png").write_bytes(b"1")
    for name in ("sub/b.png", "c.png"):
        (arrivals.folder / name).write_bytes(b"1")
    arrivals.apart = ((arrivals.folder / "apart").resolve(),)
    arrivals.look(0)
    arrivals.look(1)
    assert sorted(taken(arrivals, 1)) == ["b.png", "c.png"]


def test_a_link_to_a_folder_below_one_that_is_left_out_is_not_followed(arrivals, tmp_path):
    for name in ("out/deep/a.png", "in/sub/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    (arrivals.folder / "link").symlink_to(tmp_path / "out" / "deep", target_is_directory=True)
    arrivals.apart = (tmp_path.resolve() / "out",)
    arrivals.look(0)
    arrivals.look(1)
    assert taken(arrivals, 1) == ["b.png"]
    arrivals.apart = (tmp_path.resolve(),)  # the watched folder lies in it
    arrivals.look(2)
    arrivals.look(3)
    assert taken(arrivals, 3) == ["b.png"] and arrivals.holds(arrivals.folder / "sub" / "b.png")


def test_a_share_that_is_gone_for_a_while_is_said_once_and_nothing_is_forgotten(arrivals, told, tmp_path):
    (arrivals.folder / "a.png").write_bytes(b"1")
    arrivals.look(0)
    arrivals.folder.rename(tmp_path / "away")
    arrivals.look(1)
    arrivals.look(2)
    assert len(told) == 1 and "cannot be read now" in told[0]
    Path(tmp_path / "away").rename(arrivals.folder)
    arrivals.look(3)
    assert taken(arrivals, 3) == ["a.png"]


def test_what_is_gone_again_is_forgotten(arrivals):
    path = arrivals.folder / "a.png"
    path.write_bytes(b"1")
    arrivals.look(0)
    path.unlink()
    arrivals.look(1)
    assert not arrivals.waiting
