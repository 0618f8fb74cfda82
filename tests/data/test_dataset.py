"""Finding categories, photographs and masks."""

from pathlib import Path

import pytest
from commands import picture, write

from anomaly.data.layouts import categories, choose, load_category
from anomaly.data.samples import images_in
from anomaly.run.errors import DataError, UsageError


def put(root: Path, *names: str):
    for name in names:
        write(root / name, picture(8, 8))


@pytest.fixture
def data(tmp_path):
    put(tmp_path, "nut/train/good/0.png", "metal nut/train/good/0.png", "bolt/train/good/0.png")
    (tmp_path / "notes").mkdir()
    (tmp_path / "license.txt").write_text("free")
    return tmp_path


def test_categories_are_the_folders_with_good_training_images_in_order(data):
    assert categories(data) == ["bolt", "metal nut", "nut"]


def test_all_stands_for_every_category(data):
    assert choose(data, ("all",)) == ["bolt", "metal nut", "nut"]


def test_chosen_categories_keep_their_order_and_come_once(data):
    assert choose(data, ("nut", "bolt", "nut")) == ["nut", "bolt"]


def test_a_category_that_is_called_all_is_one_category(data):
    put(data, "all/train/good/0.png")
    assert choose(data, ("all",)) == ["all"]


def test_an_unknown_category_is_answered_with_those_there_are(data):
    with pytest.raises(DataError) as caught:
        choose(data, ("bolt", "screw"))
    assert "screw" in str(caught.value)
    assert "bolt, metal nut, nut" in str(caught.value)


def test_no_category_is_answered_with_those_there_are(data):
    with pytest.raises(UsageError, match="bolt, metal nut, nut"):
        choose(data, ())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        categories(tmp_path / "nowhere")


def test_a_folder_without_categories_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        categories(tmp_path / "empty")


def test_a_path_that_is_itself_a_category_is_answered_with_the_right_options(data):
    with pytest.raises(DataError) as caught:
        categories(data / "nut")
    assert f"--dataset_path {data} --category nut" in str(caught.value)


def test_training_images_come_in_the_order_of_their_names(tmp_path):
    put(tmp_path, *(f"nut/train/good/{name}" for name in ("10.png", "02.jpg", "1.PNG")))
    assert [sample.path.name for sample in load_category(tmp_path, "nut").train] == ["02.jpg", "1.PNG", "10.png"]


@pytest.mark.parametrize("extra", [[], [".hidden.png"], ["notes.txt", "Thumbs.db"]])
def test_no_photograph_to_train_on_is_an_error_that_names_the_folder(tmp_path, extra):
    folder = tmp_path / "nut/train/good"
    folder.mkdir(parents=True)
    for name in extra:
        (folder / name).write_bytes(b"x")
    with pytest.raises(DataError, match="nut/train/good"):
        load_category(tmp_path, "nut")


def test_hidden_files_other_files_and_folders_are_no_images(tmp_path):
    put(tmp_path, "a.png", "b.jpg")
    (tmp_path / ".c.png").write_bytes(b"x")
    (tmp_path / "readme.md").write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in images_in(tmp_path)] == ["a.png", "b.jpg"]
    assert images_in(tmp_path / "nowhere") == []


def test_masks_are_paired_by_name_and_not_by_position(tmp_path):
    put(tmp_path, "nut/train/good/0.png", "nut/test/good/000.png")
    put(tmp_path, *(f"nut/test/hole/{name}" for name in ("000.jpg", "001.png", "002.png", "003.bmp", "010.png")))
    masks = ("010_mask.png", "003.png", "002_mask.bmp", "000_mask.png", "000.png", "099_mask.png", ".001_mask.png")
    put(tmp_path, *(f"nut/ground_truth/hole/{name}" for name in masks))
    put(tmp_path, "nut/ground_truth/good/000.png")
    category = load_category(tmp_path, "nut")
    found = {sample.name: sample.mask and sample.mask.name for sample in category.test}
    assert found == {
        "good/000.png": None,
        "hole/000.jpg": "000_mask.png",
        "hole/001.png": None,
        "hole/002.png": "002_mask.bmp",
        "hole/003.bmp": "003.png",
        "hole/010.png": "010_mask.png",
    }
    assert [sample.anomalous for sample in category.test] == [False, True, True, True, True, True]


def test_masks_of_one_defect_are_not_taken_for_another(tmp_path):
    put(tmp_path, "nut/train/good/0.png", "nut/test/hole/0.png", "nut/test/crack/0.png")
    put(tmp_path, "nut/ground_truth/crack/0_mask.png")
    masks = {sample.defect: sample.mask for sample in load_category(tmp_path, "nut").test}
    assert masks == {"crack": tmp_path / "nut/ground_truth/crack/0_mask.png", "hole": None}


def test_a_test_folder_and_masks_are_optional(tmp_path):
    put(tmp_path, "nut/train/good/0.png")
    category = load_category(tmp_path, "nut")
    assert category.test == ()
    put(tmp_path, "nut/test/hole/0.png")
    assert [sample.mask for sample in load_category(tmp_path, "nut").test] == [None]
