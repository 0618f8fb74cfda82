"""Moving and linking, where the place is taken, on another disk, and after a kill."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from anomaly.line import aside
from anomaly.line.aside import LINK, MOVE, put
from anomaly.run.errors import DataError


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.png").write_bytes(b"photograph")
    return tmp_path / "a.png"


@pytest.fixture(params=["same disk", "other disk"])
def disk(request, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    if request.param == "other disk":
        monkeypatch.setattr(aside.os, "link", refuse)


@pytest.mark.parametrize("how", [MOVE, LINK])
def test_it_lies_there_and_nothing_is_replaced(path, tmp_path, how, disk):
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "sub" / "a.png").write_bytes(b"another")
    place = put(path, tmp_path / "out" / "sub" / "a.png", how=how)
    assert place.name == "a-2.png" and place.read_bytes() == b"photograph"
    assert (tmp_path / "out" / "sub" / "a.png").read_bytes() == b"another"
    assert path.exists() is (how == LINK)
    assert {each.name for each in place.parent.iterdir()} == {"a.png", "a-2.png"}


@pytest.mark.parametrize("how", [MOVE, LINK])
def test_a_second_time_changes_nothing(path, tmp_path, how, disk):
    place = tmp_path / "out" / "a.png"
    place.parent.mkdir()
    shutil.copy(path, place)
    assert put(path, tmp_path / "out" / "a.png", how=how) == place  # as after a kill between the two steps
    assert place.read_bytes() == b"photograph"
    assert os.listdir(tmp_path / "out") == ["a.png"]


def test_what_a_kill_leaves_of_a_copy_is_gone_after_the_next_try(path, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    class Killed(BaseException):
        pass

    def killed(*_):
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # it can clean up nothing
        raise Killed

    monkeypatch.setattr(aside.os, "link", refuse)
    with monkeypatch.context() as patched:
        patched.setattr(aside.os, "rename", killed)
        with pytest.raises(Killed):
            put(path, tmp_path / "out" / "a.png", how=MOVE)
    monkeypatch.undo()
    monkeypatch.setattr(aside.os, "link", refuse)
    assert len(os.listdir(tmp_path / "out")) == 1 and path.exists()
    put(path, tmp_path / "out" / "a.png", how=MOVE)
    assert os.listdir(tmp_path / "out") == ["a.png"] and not path.exists()


def test_what_was_linked_is_not_lost_when_it_is_moved(path, tmp_path, disk):
    put(path, tmp_path / "out" / "a.png", how=LINK)
    place = put(path, tmp_path / "out" / "a.png", how=MOVE)
    assert not path.exists() and not place.is_symlink() and place.read_bytes() == b"photograph"


@pytest.mark.parametrize("how", [MOVE, LINK])
def test_what_lies_there_already_by_way_of_a_link_is_not_lost(path, tmp_path, how):
    (tmp_path / "out").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DataError, match="lies already where it would be put"):
        put(path, tmp_path / "out" / "a.png", how=how)
    assert path.read_bytes() == b"photograph"
    assert sorted(os.listdir(tmp_path)) == ["a.png", "out"]


@pytest.mark.parametrize("how", [MOVE, LINK])
def test_a_relative_link_still_leads_to_its_photograph(path, tmp_path, how):
    (tmp_path / "in").mkdir()
    link = tmp_path / "in" / "b.png"
    link.symlink_to("../a.png")
    place = put(link, tmp_path / "out" / "deep" / "b.png", how=how)
    assert place.is_symlink() and place.read_bytes() == b"photograph" and path.exists()
    assert link.is_symlink() is (how == LINK)
    if how == MOVE:  # as after a kill between the two steps
        link.symlink_to("../a.png")
        assert put(link, tmp_path / "out" / "deep" / "b.png", how=how) == place and not link.is_symlink()


def test_what_appears_there_while_it_is_copied_is_not_replaced(path, tmp_path, monkeypatch):
    link, place = os.link, tmp_path / "out" / "a.png"

    def other_disk(source, target):
        if Path(source) == path:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if not place.exists():
            place.write_bytes(b"another")
        link(source, target)

    monkeypatch.setattr(aside.os, "link", other_disk)
    assert put(path, place, how=MOVE).read_bytes() == b"photograph" and place.read_bytes() == b"another"


def test_a_photograph_that_comes_while_another_of_its_name_is_moved_is_not_lost(path, tmp_path, monkeypatch):
    link = os.link

    def late(source, target):
        link(source, target)
        (tmp_path / "new").write_bytes(b"new")
        os.replace(tmp_path / "new", path)

    monkeypatch.setattr(aside.os, "link", late)
    with pytest.raises(DataError, match="changed while it was moved"):
        put(path, tmp_path / "out" / "a.png", how=MOVE)
    assert path.read_bytes() == b"new" and (tmp_path / "out" / "a.png").read_bytes() == b"photograph"
