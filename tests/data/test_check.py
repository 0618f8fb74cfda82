"""The check finds each fault that was planted in drawn data, names its files, and finds nothing in data without one."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import listing, picture, run, write

from anomaly.commands import check as command
from anomaly.data import alike, check, check_report, toydata
from anomaly.data.images import read_image, read_mask, write_image
from anomaly.data.layouts import load_category
from anomaly.data.seen import look
from anomaly.run.errors import DataError


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    """As many photographs as the default rate wants, so that there is nothing at all to say."""
    folder = tmp_path_factory.mktemp("clean")
    toydata.make(folder, seed=5, train=100, test=5, size=64)
    return folder


@pytest.fixture
def gear(tmp_path, clean) -> Path:
    shutil.copytree(clean / "gear", tmp_path / "data" / "gear")
    return tmp_path / "data" / "gear"


def found(folder: Path) -> dict:
    """Kind -> the finding; each kind comes once."""
    findings = check.check(load_category(folder)).findings
    assert len({finding.kind for finding in findings}) == len(findings)
    return {finding.kind: finding for finding in findings}


@pytest.mark.parametrize("name", ["fabric", "gear"])
@pytest.mark.parametrize(("seed", "size"), [(0, 64), (1, 96), (2, 128)])
def test_nothing_is_found_in_what_is_right(tmp_path, name, seed, size):
    toydata.make(tmp_path, seed=seed, train=24, test=6, size=size, categories=(name,))
    assert set(found(tmp_path / name)) == {"few"}


def test_there_is_nothing_to_say_of_enough_photographs(clean):
    before = listing(clean)
    for name in ("fabric", "gear"):
        report = check.check(load_category(clean / name))
        assert report.findings == () and not report.stops
        assert (report.train, sum(report.test.values()), report.masks) == (100, 20, 15)
        assert report.sizes == (((64, 64), 120),) and (report.colour, report.grey) == (120, 0)
        assert check_report.lines(report)[-1] == "nothing wrong was found"
    assert listing(clean) == before


def test_photographs_of_formats_that_are_not_read_are_named(gear, capsys):
    for name in ("train/good/IMG_1.HEIC", "test/rust/b.dng", "test/rust/.hidden.heic", "notes.txt"):
        (gear / name).write_bytes(b"1")
    command.main([str(gear)])
    said = capsys.readouterr().out
    assert "warning: 2 files passed over, of a format that is not read (.dng, .heic); save as PNG" in said
    assert f"    {gear / 'train/good/IMG_1.HEIC'}" in said and "hidden" not in said and "notes" not in said
    command.main(["--good", str(gear / "train/good/000.png"), str(gear / "train/good/001.png")])
    assert "passed over" not in capsys.readouterr().out  # what lies beside single files is not meant


def truncate(path: Path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def darkened(path: Path, level: float):
    write_image(path, (read_image(path) * level).astype(np.uint8))


# What is done to the category, the finding that has to follow, its level, and the files that it has to name.
FAULTS = {
    "truncated": (lambda g: truncate(g / "train/good/003.png"), "unreadable", "error", ["train/good/003.png"]),
    "empty": (lambda g: (g / "test/rust/001.png").write_bytes(b""), "unreadable", "error", ["test/rust/001.png"]),
    "words": (lambda g: (g / "test/good/002.png").write_text("words"), "unreadable", "error", ["test/good/002.png"]),
    "broken mask": (
        lambda g: truncate(g / "ground_truth/rust/001_mask.png"),
        *("mask_unreadable", "error", ["ground_truth/rust/001_mask.png"]),
    ),
    "small mask": (
        lambda g: write(g / "ground_truth/rust/001_mask.png", np.zeros((32, 64), np.uint8)),
        *("mask_size", "error", ["ground_truth/rust/001_mask.png: 64 x 32, photograph 64 x 64"]),
    ),
    "black mask": (
        lambda g: write(g / "ground_truth/rust/001_mask.png", np.zeros((64, 64), np.uint8)),
        *("mask_black", "warning", ["ground_truth/rust/001_mask.png"]),
    ),
    "no mask": (
        lambda g: (g / "ground_truth/rust/001_mask.png").unlink(),
        *("mask_missing", "warning", ["test/rust/001.png"]),
    ),
    "mask alone": (
        lambda g: (g / "test/rust/001.png").unlink(),
        *("mask_unused", "warning", ["ground_truth/rust/001_mask.png"]),
    ),
    "no masks": (lambda g: shutil.rmtree(g / "ground_truth"), "no_masks", "note", []),
    "no defects": (
        lambda g: [shutil.rmtree(g / "test" / name) for name in ("rust", "scratch", "tooth_missing")],
        *("no_defects", "note", []),
    ),
    "no good": (lambda g: shutil.rmtree(g / "test/good"), "no_good", "note", []),
    "one photograph": (
        lambda g: [path.unlink() for path in sorted((g / "train/good").iterdir())[1:]],
        *("few", "warning", []),
    ),
    "copy": (
        lambda g: shutil.copy(g / "train/good/004.png", g / "test/good/900.png"),
        *("same_file", "warning", ["train/good/004.png", "test/good/900.png"]),
    ),
    "copy called a defect": (
        lambda g: shutil.copy(g / "test/good/001.png", g / "test/rust/900.png"),
        *("same_file", "warning", ["test/good/001.png", "test/rust/900.png"]),
    ),
    "saved anew": (
        lambda g: write_image(g / "test/good/900.bmp", read_image(g / "train/good/004.png")),
        *("near_duplicate", "warning", ["train/good/004.png", "test/good/900.bmp"]),
    ),
    "other part": (
        lambda g: write_image(g / "train/good/050.png", toydata.render("fabric", "good", seed=[7], size=64)[0]),
        *("unlike", "warning", ["train/good/050.png"]),
    ),
    "dark": (lambda g: darkened(g / "train/good/050.png", 0.3), "unlike", "warning", ["train/good/050.png"]),
    "grey": (
        lambda g: write(g / "train/good/050.png", cv2.imread(str(g / "train/good/050.png"), cv2.IMREAD_GRAYSCALE)),
        *("colours", "warning", ["train/good/050.png"]),
    ),
    "other shape": (
        lambda g: write_image(g / "train/good/050.png", cv2.resize(read_image(g / "train/good/050.png"), (64, 80))),
        *("shapes", "warning", ["train/good/050.png: 64 x 80"]),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_its_files_are_named(gear, fault):
    plant, kind, level, files = FAULTS[fault]
    plant(gear)
    findings = found(gear)
    assert findings[kind].level == level
    text = "\n".join(findings[kind].files)
    assert all(str(gear / name) in text for name in files)
    assert len(findings[kind].files) <= 1
    expected = {"no masks": {"no_masks"}, "copy called a defect": {"same_file", "mask_missing"}}.get(fault, {kind})
    assert set(findings) == expected | ({"unlike"} & set(findings) if fault in ("grey", "other part") else set())
    assert check.check(load_category(gear)).stops is (level == "error")


def test_photographs_that_are_not_square_get_advice(tmp_path):
    for number in range(3):
        write(tmp_path / f"lid/train/good/{number}.png", picture(200, 300, seed=number))
    finding = found(tmp_path / "lid")["not_square"]
    assert finding.level == "note"
    assert finding.text == "photographs are 3:2 (width : height); try --resize 256 384 --crop none"


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1, None), (1.05, None), (4 / 3, "256 352"), (1.5, "256 384"), (16 / 9, "256 448"), (0.5, "512 256")],
)
def test_the_advice_keeps_the_shape_in_steps_of_32(ratio, said):
    advice = check.resize_for(ratio)
    assert advice is None if said is None else f"--resize {said} " in advice


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("name", ["fabric", "gear"])
def test_what_was_saved_as_a_jpeg_is_the_same_photograph(tmp_path, name, quality):
    toydata.make(tmp_path, seed=3, train=8, test=2, size=512, categories=(name,))
    assert "near_duplicate" not in found(tmp_path / name)
    image = cv2.imread(str(tmp_path / name / "train/good/004.png"))
    write(tmp_path / name / "test/good/900.jpg", image, cv2.IMWRITE_JPEG_QUALITY, quality)
    [line] = found(tmp_path / name)["near_duplicate"].files
    assert "004.png" in line and "900.jpg" in line


def test_near_duplicates_are_those_that_a_plain_loop_finds(clean, gear):
    for number in (3, 50, 77):
        write_image(gear / f"test/good/{900 + number}.bmp", read_image(gear / f"train/good/{number:03}.png"))
    category = load_category(gear)
    train, test = (
        [look(each, part) for each in samples] for part, samples in ((1, category.train), (0, category.test))
    )

    def grey(seen):
        return seen.thumbnail.mean(axis=2).astype(np.float64)

    expected = [
        (one.sample.path.name, other.sample.path.name)
        for one in train
        for other in test
        if np.sqrt(((grey(one) - grey(other)) ** 2).mean()) < 0.2
    ]
    assert len(expected) == 3
    assert [(a.sample.path.name, b.sample.path.name) for a, b in alike.near_duplicates(train, test)] == expected


def test_the_masks_that_are_read_are_those_of_the_category(gear):
    category = load_category(gear)
    marked = sum(bool(read_mask(path).any()) for sample in category.test for path in sample.masks)
    assert marked == check.check(category).masks == 15


def test_only_so_many_files_are_listed(gear):
    for path in sorted((gear / "train/good").iterdir())[:14]:
        path.write_bytes(b"")
    lines = check_report.lines(check.check(load_category(gear)))
    [at] = [number for number, line in enumerate(lines) if line.startswith("error: 14 photographs cannot be read")]
    assert sum(line.startswith("    ") and "train/good" in line for line in lines) == 10
    assert lines[at + 11] == "    and 4 more"


def test_a_name_with_a_line_break_stays_on_a_line(tmp_path):
    write(tmp_path / "lid/train/good/0.png", picture(64, 64))
    (tmp_path / "lid/train/good/a\nb.png").write_bytes(b"")
    lines = check_report.lines(check.check(load_category(tmp_path / "lid")))
    assert any("a\\nb.png" in line for line in lines) and not any("\n" in line for line in lines)


def call(*words):
    return run(command.main, *words)


def test_the_command_tells_of_every_category_and_writes_the_same_as_data(gear, clean, tmp_path):
    shutil.copytree(clean / "fabric", gear.parent / "fabric")
    shutil.copy(gear / "train/good/004.png", gear / "test/good/900.png")
    before, target = listing(gear.parent), tmp_path / "found.json"
    for _ in range(2):  # its own file may be replaced
        done = call(gear.parent, "--json", target)
        assert done.code == 0, done.err
    assert "fabric\n" in done.out and "nothing wrong was found" in done.out
    assert "100 good photographs" in done.out and "6 good and 15 of defects" in done.out
    assert "warning: 1 photograph there more than once" in done.out
    fabric, gears = json.loads(target.read_text())["checked"]
    assert fabric["category"] == "fabric" and fabric["findings"] == []
    assert [finding["kind"] for finding in gears["findings"]] == ["same_file"]
    assert listing(gear.parent) == before


def test_errors_come_first_and_in_the_exit_code(gear):
    shutil.copy(gear / "train/good/004.png", gear / "test/good/900.png")
    truncate(gear / "train/good/003.png")
    for words in ((gear,), (gear.parent, "--category", "gear"), ("--dataset_path", gear.parent, "--category", "all")):
        done = call(*words)
        assert done.code == 1
        assert done.out.index("error: 1 photograph cannot be read") < done.out.index("warning: ")


def test_own_folders_are_checked_as_they_are_trained_on(gear):
    words = ("--good", gear / "train/good", "--bad", gear / "test/rust", "--masks", gear / "ground_truth/rust")
    done = call(*words, "--test_share", "0.1")
    assert done.code == 0, done.err
    assert "90 good photographs" in done.out and "10 good and 5 of defects (rust 5), 5 with a mask" in done.out
    assert "10 of 100 good photographs are kept out of training" in done.out


def test_a_category_that_cannot_be_listed_is_an_error_of_it(gear):
    shutil.copytree(gear, gear.parent / "lid")
    for path in (gear.parent / "lid/train/good").iterdir():
        path.unlink()
    done = call(gear.parent)
    assert done.code == 1 and "error: " in done.out and "lid/train/good: holds no image" in done.out
    assert "gear\n" in done.out


def test_what_cannot_be_checked_is_one_line(gear, tmp_path):
    (tmp_path / "mine.json").write_text('["mine"]')
    (tmp_path / "pictures").mkdir()
    write(tmp_path / "pictures/0.png", picture(64, 64))
    for words, code, said in (
        ((), 2, "--dataset_path"),
        ((tmp_path / "nowhere",), 1, "nowhere"),
        ((tmp_path / "pictures",), 1, "it has 0.png"),
        ((gear.parent, "--category", "bolt"), 1, "bolt"),
        ((gear.parent, "--layout", "visa"), 1, "--layout mvtec"),
        ((gear.parent, "--dataset_path", gear.parent), 2, "leave one out"),
        ((gear, "--json", tmp_path / "mine.json"), 1, "mine.json"),
        ((gear, "--json", gear / "found.json"), 1, "is among the photographs"),
        ((gear, "--workers", "0"), 2, "workers"),
    ):
        done = call(*words)
        assert done.code == code and len(done.errors) == 1 and said in done.err, (words, done.err)
    assert (tmp_path / "mine.json").read_text() == '["mine"]' and not (gear / "found.json").exists()


def test_a_photograph_that_cannot_be_opened_is_named(gear, monkeypatch):
    def refusing(path):
        raise DataError(f"{path}: cannot be read (Permission denied)")

    monkeypatch.setattr("anomaly.data.seen.read_image", refusing)
    assert "Permission denied" in found(gear)["unreadable"].files[0]
