"""The drawn data set."""

import commands
import cv2
import numpy as np
import pytest

from anomaly.data import toydata
from anomaly.data.layouts import categories, load_category
from anomaly.run.errors import DataError


def test_it_has_the_layout_of_mvtec_with_a_mask_for_every_defect(toy):
    assert categories(toy) == ["fabric", "gear"]
    for name in categories(toy):
        category = load_category(toy, name)
        assert len(category.train) == 6
        assert len(category.test) == 12
        assert all((sample.mask is not None) == sample.anomalous for sample in category.test)


def test_every_mask_marks_some_of_the_picture_and_not_most_of_it(toy):
    for path in toy.rglob("*_mask.png"):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert set(np.unique(mask)) == {0, 255}, path
        assert (mask > 0).mean() < 0.25, path


@pytest.mark.parametrize("category", toydata.CATEGORIES)
def test_a_defect_changes_the_picture_inside_its_mask_only(category):
    good, nothing = toydata.render(category, "good", seed=[1, 2], size=96)
    assert not nothing.any()
    for defect in toydata.CATEGORIES[category][1]:
        bad, mask = toydata.render(category, defect, seed=[1, 2], size=96)
        change = np.abs(bad.astype(int) - good).max(axis=2)
        assert mask.any()
        assert change[~mask].max() <= toydata.CHANGED + 1
        assert change[mask].mean() > toydata.CHANGED


def test_the_same_seed_draws_the_same_files_and_another_does_not(toy, tmp_path):
    toydata.make(tmp_path / "again", train=6, test=3, size=64)
    toydata.make(tmp_path / "other", seed=1, train=6, test=3, size=64)
    names = [path.relative_to(toy) for path in sorted(toy.rglob("*.png"))]
    assert names == [path.relative_to(tmp_path / "again") for path in sorted((tmp_path / "again").rglob("*.png"))]
    assert all((toy / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)
    good = [name for name in names if "ground_truth" not in str(name)]
    assert all((toy / name).read_bytes() != (tmp_path / "other" / name).read_bytes() for name in good)


def test_no_two_photographs_are_the_same(toy):
    contents = [path.read_bytes() for path in toy.rglob("*.png") if "ground_truth" not in path.parts]
    assert len(set(contents)) == len(contents) == 36


def test_the_command_draws_as_many_as_asked_for(tmp_path):
    done = commands.run(toydata.main, tmp_path / "toy", "--train", "2", "--test", "1", "--size", "48")
    assert done.code == 0
    assert len(list((tmp_path / "toy/gear/train/good").iterdir())) == 2
    assert cv2.imread(str(tmp_path / "toy/gear/train/good/000.png")).shape == (48, 48, 3)


def test_the_command_refuses_a_folder_below_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    done = commands.run(toydata.main, tmp_path / "file" / "toy")
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert str(tmp_path / "file") in done.err


def test_a_folder_of_the_users_is_not_drawn_over(tmp_path):
    mine = tmp_path / "gear" / "train" / "good" / "mine.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(DataError, match="was not written by this program"):
        toydata.make(tmp_path, train=1, test=1, size=48)
    assert mine.read_bytes() == b"mine"
    for _ in range(2):  # its own it may draw anew
        toydata.make(tmp_path / "new", train=1, test=1, size=48, categories=("gear",))
