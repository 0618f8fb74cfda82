"""Files that appear only when they are complete."""

import errno
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from anomaly.run import files, leftovers
from anomaly.run.errors import DataError
from anomaly.run.files import (
    MARKER,
    claim,
    finish,
    read_json,
    replacing,
    replacing_folder,
    replacing_together,
    require_own_folder,
    require_writable,
    sha256,
    write_json,
    write_text,
)
from anomaly.run.lock import Busy, locked


def names(folder) -> list:
    return sorted(path.name for path in folder.iterdir())


def test_replacing_makes_folders_and_leaves_only_the_file(tmp_path):
    with replacing(tmp_path / "a" / "b.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a" / "b.txt").exists()
        assert temporary.suffix == ".txt"
        assert temporary.parent == tmp_path / "a"
    assert (tmp_path / "a" / "b.txt").read_text() == "new"
    assert names(tmp_path / "a") == ["b.txt"]


def test_replacing_keeps_the_old_file_and_nothing_else_on_failure(tmp_path):
    path = tmp_path / "b.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["b.txt"]


def test_replacing_leaves_nothing_where_there_was_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "b.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_replacing_folder_takes_what_was_there_away(tmp_path):
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "old.png").write_text("old")
    with replacing_folder(folder) as temporary:
        (temporary / "new.png").write_text("new")
        assert names(folder) == ["old.png"]
    assert names(folder) == ["new.png"]
    assert names(tmp_path) == ["sample"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_replacing_folder_keeps_the_old_one_on_failure(tmp_path):
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "old.png").write_text("old")
    with pytest.raises(RuntimeError), replacing_folder(folder) as temporary:
        (temporary / "new.png").write_text("new")
        raise RuntimeError
    assert names(folder) == ["old.png"]
    assert names(tmp_path) == ["sample"]


@pytest.mark.parametrize("writer", [replacing, replacing_folder])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/.b.12.tmp"), "No space left on device"),
        (OSError("4096 requested and 12 written"), "4096 requested and 12 written; the disk may be full"),
    ],
)
def test_what_the_system_refuses_names_the_file_that_was_wanted(tmp_path, writer, error, told):
    with pytest.raises(DataError) as caught, writer(tmp_path / "b"):
        raise error
    assert str(caught.value) == f"{tmp_path / 'b'}: cannot be written: {told}"
    assert names(tmp_path) == []


@pytest.mark.parametrize("writer", [replacing, replacing_folder])
def test_a_folder_that_cannot_be_made_is_named_with_the_file(tmp_path, writer):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"file/x: cannot be written: "), writer(tmp_path / "file" / "x"):
        pass


@pytest.mark.parametrize("error", [BrokenPipeError(), TimeoutError("not complete")])
def test_what_a_pipe_or_a_network_refuses_stays_what_it_is(tmp_path, error):
    with pytest.raises(type(error)), replacing(tmp_path / "b"):
        raise error


def test_text_and_json_come_back_as_they_were(tmp_path):
    write_text(tmp_path / "a.txt", "größer\n")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "größer\n"
    value = {"ä": [1, 2.5, None, True], "b": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_json_without_a_number_is_not_written(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00"])
def test_damaged_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_sha256_is_hashlibs(tmp_path):
    data = np.random.default_rng(0).bytes(3 * (1 << 20) + 17)
    (tmp_path / "a").write_bytes(data)
    assert sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_require_writable_makes_the_folder_and_leaves_it_empty(tmp_path):
    require_writable(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []


@pytest.mark.parametrize("below", ["", "x", "x/y"])
def test_require_writable_refuses_a_path_at_or_below_a_file(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"file.*--output_dir"):
        require_writable(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "mine"


def several(folder, text) -> None:
    with replacing_together(folder, last="record") as place:
        for name in ("a", "deep/b", "record"):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text(text)


def contents(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_several_files_are_replaced_together_or_not_at_all(tmp_path):
    several(tmp_path, "old")
    assert contents(tmp_path) == dict.fromkeys(("a", "deep/b", "record"), "old")
    with pytest.raises(KeyboardInterrupt), replacing_together(tmp_path, last="record") as place:
        (place / "a").write_text("new")
        raise KeyboardInterrupt
    assert contents(tmp_path) == dict.fromkeys(("a", "deep/b", "record"), "old")


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_what_was_cut_off_after_the_last_file_is_finished(tmp_path, monkeypatch, moved):
    several(tmp_path, "old")
    real, done = files.os.replace, []

    def killed(source, target):
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(target)
        real(source, target)

    monkeypatch.setattr(files.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        several(tmp_path, "new")
    monkeypatch.undo()
    assert (tmp_path / "record").read_text() == "old"
    finish(tmp_path, last="record")
    assert contents(tmp_path) == dict.fromkeys(("a", "deep/b", "record"), "new")
    finish(tmp_path, last="record")


def test_a_folder_that_is_being_replaced_is_known_as_ours_whenever_it_is_killed(tmp_path):
    """In another process: a kill does not run what stands in `finally`."""
    place = tmp_path / "sample"
    for step in range(1, 12):
        place.mkdir(exist_ok=True)
        for name in ("a", "b", MARKER, "c", "d"):
            (place / name).touch()
        subprocess.run([sys.executable, "-c", KILLED, str(place), str(step)], cwd=files.SOURCE)
        require_own_folder(place) if place.exists() else None
    assert names(place) == [MARKER, "new"]
    leftovers.clear((tmp_path,))
    assert names(tmp_path) == ["sample"]


KILLED = """
import os, sys
from pathlib import Path
from anomaly.run.files import MARKER, replacing_folder
count = 0
def step(event, _):
    global count
    count += event in ("os.rename", "os.remove", "os.rmdir", "os.chmod")
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
with replacing_folder(Path(sys.argv[1])) as made:
    for name in (MARKER, "new"):
        (made / name).touch()
    sys.addaudithook(step)
"""


def test_a_link_to_a_folder_of_ours_is_replaced_and_the_folder_stays(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / MARKER).touch()
    (tmp_path / "sample").symlink_to("there")
    with replacing_folder(tmp_path / "sample") as made:
        (made / "new").touch()
    assert names(tmp_path) == ["sample", "there"] and names(tmp_path / "sample") == ["new"]
    assert names(tmp_path / "there") == [MARKER]


def test_a_folder_of_the_users_stays_theirs(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a.png").write_text("mine")
    with pytest.raises(DataError, match="not written by this program"):
        require_own_folder(mine)
    claim(mine, [mine / "b.png"])  # what it has no file of may be added, and that is all
    assert names(mine) == ["a.png"]
    with pytest.raises(DataError, match=r"a\.png: is there already"):
        claim(mine, ["b.png", "a.png"])
    claim(tmp_path / "ours", ["a.png"])
    (tmp_path / "ours" / "a.png").write_text("ours")
    claim(tmp_path / "ours", ["a.png"])
    require_own_folder(tmp_path / "ours")
    assert names(tmp_path / "ours") == [MARKER, "a.png"]


def test_a_reader_waits_for_a_process_that_is_moving_files(tmp_path, monkeypatch):
    place = tmp_path / files.PENDING
    place.mkdir()
    (place / "record").write_text("new")
    with locked(tmp_path, files.PENDING_LOCK):
        monkeypatch.setattr(files, "PATIENCE", 0.1)
        with pytest.raises(Busy, match="is at work"):
            finish(tmp_path, last="record")
        monkeypatch.setattr(files, "PATIENCE", 10.0)
        monkeypatch.setattr(files.time, "sleep", lambda seconds: (place / "record").replace(tmp_path / "record"))
        finish(tmp_path, last="record")  # which the other process has done meanwhile
    assert (tmp_path / "record").read_text() == "new"
