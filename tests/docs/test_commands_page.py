"""The commands of docs/commands.md, docs/export.md and docs/data.md, one after the other, as they stand there."""

import shlex
import shutil
from pathlib import Path

import pages
import pytest

RUN = ("docs/commands.md", "docs/export.md", "docs/data.md")
HERE = ("--output_dir", "output/patchcore")  # of a checkout it would be the project's


def lay_out(toy: Path, folder: Path) -> None:
    """The photographs that the pages speak of."""
    for category in ("bottle", "screw"):
        shutil.copytree(toy / "gear", folder / "photos" / category)
    for lot in ("lots/ok", "lots/1/ok", "lots/2/ok"):
        shutil.copytree(toy / "gear" / "train" / "good", folder / lot)
    for source, name in (("test/rust", "lots/nok"), ("ground_truth/rust", "lots/masks"), ("test", "new_photos")):
        shutil.copytree(toy / "gear" / source, folder / name)
    shutil.copy(toy / "gear" / "test" / "rust" / "000.png", folder / "photo.png")


def is_check(words: list) -> bool:
    return words[1:4] == ["-m", "anomaly", "check"]


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    lay_out(toy, folder)
    return folder


def test_every_command_works(folder):
    """In this order: a page goes on from what the one before it trained."""
    with pages.Inside(folder):
        for block in [block for page in RUN for block in pages.blocks(page, "bash")]:
            for words in [] if block.needs else pages.typed(block.text):
                done = pages.called(words, *([] if is_check(words) else HERE))
                allowed = (0, 3) if "--fail_on_anomaly" in words else (0,)
                assert done.code in allowed, f"{shlex.join(words)}\n{done.err}"
    assert (folder / "output" / "patchcore" / "bottle" / "state.json").is_file()
