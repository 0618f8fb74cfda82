"""What killed processes leave goes, and nothing else."""

import os
import subprocess
import sys

import pytest

from anomaly.run import files, leftovers
from anomaly.run.errors import DataError
from anomaly.run.files import replacing, replacing_together
from anomaly.run.lock import locked

KILLED = """
import os, sys
from pathlib import Path
from anomaly.run.files import replacing, replacing_folder
with replacing(Path(sys.argv[1]) / "a.json") as file, replacing_folder(Path(sys.argv[1]) / "sample") as folder:
    file.write_text("half")
    (folder / "b.png").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_goes_at_the_next_run_and_what_lives_stays(tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path]).returncode == -9
    left = list(tmp_path.iterdir())
    assert len(left) == 2
    mine = [tmp_path / name for name in (".hidden.tmp", "a.123.tmp", ".a.1-elsewhere.tmp.json")]
    for path in mine:
        path.touch()
    with replacing(tmp_path / "b.json") as alive:
        alive.write_text("{}")
        with locked(tmp_path):
            assert not any(path.exists() for path in left)
            assert alive.exists() and all(path.exists() for path in mine)


def test_an_error_names_the_file_that_was_to_be_written(tmp_path):
    temporary = tmp_path / leftovers.name("a b", ".json")
    assert leftovers.settled(f"{temporary}: full") == f"{tmp_path / 'a b.json'}: full"
    assert leftovers.settled(f"{tmp_path}/.saving/a.npy: full") == f"{tmp_path}/a.npy: full"


def test_a_long_name_has_a_temporary_one_that_is_short_enough(tmp_path):
    path = tmp_path / ("ä" * 120 + ".png")
    with replacing(path) as temporary:
        temporary.write_text("x")
    assert os.listdir(tmp_path) == [path.name]


def test_where_nothing_can_be_moved_what_waits_is_read_from_where_it_is(tmp_path, monkeypatch):
    def killed(place, **more):
        raise KeyboardInterrupt

    with (
        monkeypatch.context() as patch,
        pytest.raises(KeyboardInterrupt),
        replacing_together(tmp_path, last="state.json") as place,
    ):
        (place / "state.json").write_text("new")
        patch.setattr(files, "_move", killed)

    def refused(*words, **more):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(files, "_move", refused)
        assert files.finish(tmp_path, last="state.json") == place
    with monkeypatch.context() as patch, pytest.raises(DataError, match="full"):
        patch.setattr(files, "_move", lambda *words, **more: (_ for _ in ()).throw(OSError(28, "full")))
        files.finish(tmp_path, last="state.json")
    assert files.finish(tmp_path, last="state.json") is None
    assert (tmp_path / "state.json").read_text() == "new"
