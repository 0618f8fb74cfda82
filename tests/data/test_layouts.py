"""Each layout reads a small made sample of it: exactly these photographs, defects and masks."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from commands import picture, write

from anomaly.data import layouts, sources
from anomaly.data.layouts import LAYOUTS, categories, load_category
from anomaly.data.loader import read_sample
from anomaly.data.sources import Source
from anomaly.data.split import Split
from anomaly.data.transform import Transform
from anomaly.run.errors import DataError, UsageError


def put(root: Path, *names: str):
    for number, name in enumerate(names):
        write(root / name, picture(64, 64, seed=number))


def mask(path: Path, *, rows: slice = slice(0, 0)) -> Path:
    marked = np.zeros((64, 64), np.uint8)
    marked[rows] = 255
    return write(path, marked)


def found(samples: tuple, root: Path) -> list:
    """Path, defect and masks of each, from the root on."""
    return [
        (str(each.path.relative_to(root)), each.defect, [str(path.relative_to(root)) for path in each.masks])
        for each in samples
    ]


def names(samples: tuple) -> list:
    return [each.path.name for each in samples]


def test_mvtec(tmp_path):
    put(tmp_path, "nut/train/good/0.png", "nut/test/good/1.png", "nut/test/hole/2.png", "nut/test/hole/3.png")
    put(tmp_path, "nut/ground_truth/hole/2_mask.png", "nut/ground_truth/hole/9_mask.png")
    category = load_category(tmp_path, "nut")
    assert layouts.recognised(tmp_path / "nut") is LAYOUTS["mvtec"]
    assert found(category.train, tmp_path) == [("nut/train/good/0.png", "good", [])]
    assert found(category.test, tmp_path) == [
        ("nut/test/good/1.png", "good", []),
        ("nut/test/hole/2.png", "hole", ["nut/ground_truth/hole/2_mask.png"]),
        ("nut/test/hole/3.png", "hole", []),
    ]
    assert category.unused == (tmp_path / "nut/ground_truth/hole/9_mask.png",) and category.note == ""


def test_loco_joins_the_masks_of_a_photograph(tmp_path):
    root = tmp_path / "pins"
    put(root, "train/good/000.png", "validation/good/000.png", "test/good/000.png")
    put(root, "test/logical_anomalies/000.png", "test/logical_anomalies/001.png", "test/structural_anomalies/000.png")
    for number, rows in enumerate((slice(0, 8), slice(40, 48))):
        mask(root / f"ground_truth/logical_anomalies/000/00{number}.png", rows=rows)
    mask(root / "ground_truth/logical_anomalies/001/000.png", rows=slice(3, 4))
    mask(root / "ground_truth/structural_anomalies/007/000.png")
    category = load_category(tmp_path, "pins")
    assert layouts.recognised(root) is LAYOUTS["loco"]
    assert found(category.train, root) == [("train/good/000.png", "good", [])]
    truth = "ground_truth/logical_anomalies/00"
    assert found(category.test, root) == [
        ("test/good/000.png", "good", []),
        ("test/logical_anomalies/000.png", "logical_anomalies", [f"{truth}0/000.png", f"{truth}0/001.png"]),
        ("test/logical_anomalies/001.png", "logical_anomalies", [f"{truth}1/000.png"]),
        ("test/structural_anomalies/000.png", "structural_anomalies", []),
    ]
    assert category.unused == (root / "ground_truth/structural_anomalies/007/000.png",)
    _, joined, _ = read_sample(category.test[1], Transform((64, 64)), with_mask=True)
    assert joined[:8].all() and joined[40:48].all() and joined.sum() == 16 * 64


def test_a_part_of_a_mask_of_another_size_is_named(tmp_path):
    root = tmp_path / "pins"
    put(root, "train/good/0.png", "test/logical_anomalies/0.png")
    mask(root / "ground_truth/logical_anomalies/0/000.png")
    write(root / "ground_truth/logical_anomalies/0/001.png", np.zeros((32, 64), np.uint8))
    with pytest.raises(DataError, match=r"0/001.png: not of the size .* 64 x 32"):
        read_sample(load_category(tmp_path, "pins").test[0], Transform((64, 64)), with_mask=True)


def test_mvtec_ad_2_uses_what_is_public_alone(tmp_path):
    root = tmp_path / "can"
    put(root, "train/good/000_regular.png", "validation/good/001_regular.png", "test_private/000.png")
    put(root, "test_public/good/000_regular.png", "test_public/bad/000_regular.png", "test_private_mixed/000.png")
    mask(root / "test_public/ground_truth/bad/000_regular_mask.png")
    category = load_category(tmp_path, "can")
    assert layouts.recognised(root) is LAYOUTS["mvtec_ad_2"]
    assert found(category.train, root) == [("train/good/000_regular.png", "good", [])]
    assert found(category.test, root) == [
        ("test_public/bad/000_regular.png", "bad", ["test_public/ground_truth/bad/000_regular_mask.png"]),
        ("test_public/good/000_regular.png", "good", []),
    ]


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_btad(tmp_path, suffix):
    root = tmp_path / "02"
    put(root, "train/ok/0000.png", "train/ok/0001.bmp", "test/ok/0000.png", "test/ko/0000.png", "test/ko/0001.png")
    mask(root / f"ground_truth/ko/0001{suffix}")
    category = load_category(tmp_path, "02")
    assert layouts.recognised(root) is LAYOUTS["btad"]
    assert names(category.train) == ["0000.png", "0001.bmp"]
    assert found(category.test, root) == [
        ("test/ok/0000.png", "good", []),
        ("test/ko/0000.png", "ko", []),
        ("test/ko/0001.png", "ko", [f"ground_truth/ko/0001{suffix}"]),
    ]


@pytest.fixture
def visa(tmp_path) -> Path:
    root = tmp_path / "visa" / "candle"
    put(root, *(f"Data/Images/Normal/{number:04}.JPG" for number in range(10)))
    put(root, "Data/Images/Anomaly/000.JPG", "Data/Images/Anomaly/001.JPG")
    mask(root / "Data/Masks/Anomaly/000.png", rows=slice(0, 2))
    return root.parent


def test_visa_without_its_table_keeps_a_share_apart(visa):
    category = load_category(visa, "candle")
    assert layouts.recognised(visa / "candle") is LAYOUTS["visa"]
    assert len(category.train) == 8 and "2 of 10" in category.note
    good = [sample for sample in category.test if not sample.anomalous]
    assert len(good) == 2 and not {s.path for s in good} & {s.path for s in category.train}
    assert found(category.test, visa)[2:] == [
        ("candle/Data/Images/Anomaly/000.JPG", "Anomaly", ["candle/Data/Masks/Anomaly/000.png"]),
        ("candle/Data/Images/Anomaly/001.JPG", "Anomaly", []),
    ]


def test_the_table_of_visa_decides(visa):
    table = visa / "split_csv" / "1cls.csv"
    table.parent.mkdir()
    rows = [("object", "split", "label", "image", "mask")]
    normal = "candle/Data/Images/Normal/"
    rows += [("candle", "train", "normal", f"{normal}000{n}.JPG", "") for n in (3, 1)]
    rows += [("candle", "test", "normal", f"{normal}0002.JPG", ""), ("pcb1", "train", "normal", "pcb1/x.JPG", "")]
    bad = ("candle/Data/Images/Anomaly/000.JPG", "candle/Data/Masks/Anomaly/000.png")
    rows += [("candle", "test", "anomaly", *bad)]
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    category = load_category(visa, "candle")
    assert names(category.train) == ["0003.JPG", "0001.JPG"] and category.note == ""
    assert found(category.test, visa) == [(f"{normal}0002.JPG", "good", []), (bad[0], "Anomaly", [bad[1]])]
    assert categories(visa) == ["candle"]
    (visa / normal / "0001.JPG").unlink()
    with pytest.raises(DataError, match=r"0001.JPG: is named by .*1cls.csv"):
        load_category(visa, "candle")


@pytest.fixture
def ksdd2(tmp_path) -> Path:
    root = tmp_path / "KSDD2"
    for part, marked in (("train", {10001}), ("test", {20000})):
        for number in range(10000 if part == "train" else 20000, 10003 if part == "train" else 20002):
            put(root, f"{part}/{number}.png")
            mask(root / part / f"{number}_GT.png", rows=slice(0, 4) if number in marked else slice(0, 0))
    return root


def test_ksdd2_trains_on_what_is_good(ksdd2):
    category = load_category(ksdd2.parent, "KSDD2")
    assert layouts.recognised(ksdd2) is LAYOUTS["ksdd2"]
    assert names(category.train) == ["10000.png", "10002.png"]
    assert found(category.test, ksdd2) == [
        ("test/20000.png", "defect", ["test/20000_GT.png"]),
        ("test/20001.png", "good", []),
    ]
    (ksdd2 / "train/10002_GT.png").unlink()
    with pytest.raises(DataError, match=r"10002.png: has no mask 10002_GT.png"):
        load_category(ksdd2.parent, "KSDD2")


def test_a_data_set_of_one_category_needs_no_name(ksdd2):
    for source, name in ((Source(str(ksdd2)), "KSDD2"), (Source(str(ksdd2), ("surface",)), "surface")):
        assert sources.categories(source) == [name]
        assert sources.load(source, name).name == name
    assert sources.categories(Source(str(ksdd2.parent), ("KSDD2",))) == ["KSDD2"]


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def of_table(path: Path, **more):
    source = Source(str(path), **more)
    [name] = sources.categories(source)
    return sources.load(source, name)


def test_csv(tmp_path):
    put(tmp_path, "lot1/0.png", "lot 2/0.png", "a,b.png", "lot1/1.png", "lot2/1.png", "m/1.png")
    text = "path,label,mask,split\nlot1/0.png,good,,train\nlot 2/0.png,ok,,\n"
    text += f'"a,b.png",Good,,test\nlot1/1.png,scratch,m/1.png,test\n{tmp_path}/lot2/1.png,scratch,,\n'
    table = written(tmp_path / "parts.csv", text)
    category = of_table(table)
    assert category.name == "parts" and category.note == ""
    assert found(category.train, tmp_path) == [("lot1/0.png", "good", []), ("lot 2/0.png", "good", [])]
    assert found(category.test, tmp_path) == [
        ("a,b.png", "good", []),
        ("lot1/1.png", "scratch", ["m/1.png"]),
        ("lot2/1.png", "scratch", []),
    ]
    assert [sample.name for sample in category.test] == ["good/a,b.png", "scratch/lot1/1.png", "scratch/lot2/1.png"]
    assert found(of_table(tmp_path, layout="csv").test, tmp_path) == found(category.test, tmp_path)


def test_csv_without_a_split_keeps_a_share_apart(tmp_path):
    put(tmp_path, *(f"{number}.png" for number in range(10)), "bad.png")
    lines = ["\ufeffPath;Label", *(f"{number}.png;good" for number in range(10)), "bad.png;bent"]
    table = written(tmp_path / "parts.csv", "\r\n".join(lines))
    category = of_table(table)
    assert (len(category.train), len(category.test)) == (8, 3) and "2 of 10" in category.note
    assert [sample.defect for sample in category.test] == ["good", "good", "bent"]
    assert len(of_table(table, test_share=0).train) == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a first line path,label"),
        ("file,label\n0.png,good\n", "needs a first line path,label"),
        ("path,label\n0.png,good\n1.png,good\n", "line 3: .*1.png: no such file"),
        ("path,label\n0.png,good\n0.png,bad\n", "line 3: 0.png is in line 2 too"),
        ("path,label\n0.png,\n", "line 2: needs a path and a label"),
        ("path,label\n0.png,../out\n", "cannot be the name of a folder"),
        ("path,label,split\n0.png,good,val\n", "split is train or test, not 'val'"),
        ("path,label,split\n0.png,bent,train\n", "0.png is bent; only good ones train"),
        ("path,label\n0.png,bent\n", "no good photograph"),
        ("path,label,mask\n0.png,bent,m.png\n", "m.png: no such file"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path, text, said):
    put(tmp_path, "0.png")
    table = written(tmp_path / "parts.csv", text)
    with pytest.raises(DataError, match=said) as caught:
        of_table(table)
    assert str(table) in str(caught.value)


def test_a_folder_needs_one_table(tmp_path):
    for name in ("none", "a.csv b.csv"):
        folder = tmp_path / name
        folder.mkdir()
        for file in name.split() if name != "none" else []:
            written(folder / file, "path,label\n")
        with pytest.raises(DataError, match=r"needs one .csv file"):
            of_table(folder, layout="csv")


def test_folders(tmp_path):
    root = tmp_path / "lid"
    put(root, *(f"OK/{number}.png" for number in range(5)), "dent/0.png", "crack/7.png", ".cache/8.png")
    put(root, "masks/dent/0_mask.png", "masks/9.png")
    (root / "notes").mkdir()
    category = load_category(tmp_path, "lid")
    assert layouts.recognised(root) is LAYOUTS["folders"] and categories(tmp_path) == ["lid"]
    assert len(category.train) == 4 and "1 of 5" in category.note
    assert found(category.test, root)[1:] == [
        ("crack/7.png", "crack", []),
        ("dent/0.png", "dent", ["masks/dent/0_mask.png"]),
    ]
    assert category.unused == (root / "masks/9.png",)


def test_parts_of_a_category_are_not_taken_for_one(tmp_path):
    put(tmp_path, "nut/train/good/0.png", "nut/test/good/0.png", "nut/test/hole/0.png")
    assert layouts.recognised(tmp_path / "nut/train") is None and layouts.recognised(tmp_path / "nut/test") is None


def test_an_unknown_layout_is_answered_with_what_was_looked_for_and_what_is_there(tmp_path):
    put(tmp_path, "one/0.png", "two/1.png")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError) as caught:
        categories(tmp_path)
    message = str(caught.value)
    assert "it has notes.txt, one/, two/" in message and "\n" not in message
    for name, layout in LAYOUTS.items():
        assert f"{name}: {layout.tree}" in message


def test_a_folder_that_may_not_be_read_keeps_nobody_from_the_others(tmp_path, monkeypatch):
    put(tmp_path, "nut/train/good/0.png", "closed/train/good/0.png")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed" and access(path, mode))
    assert categories(tmp_path) == ["nut"]


def test_a_layout_that_does_not_fit_is_answered_with_the_one_that_does(tmp_path):
    put(tmp_path, "nut/train/good/0.png")
    with pytest.raises(DataError, match="it looks like --layout mvtec"):
        categories(tmp_path, "visa")
    with pytest.raises(UsageError, match="layout: 'imagenet' is not one of auto, btad"):
        Source(layout="imagenet")


def test_a_share_is_chosen_by_seed_and_name_alone():
    paths = [Path(f"/a/{number:03}.png") for number in range(50)]
    kept = Split(0.2, 1).kept_out({path: path.name for path in paths})
    assert len(kept) == 10
    elsewhere = Split(0.2, 1).kept_out({Path("/b") / path.name: path.name for path in reversed(paths)})
    assert {path.name for path in kept} == {path.name for path in elsewhere}
    assert kept != Split(0.2, 2).kept_out({path: path.name for path in paths})
    assert kept < Split(0.4, 1).kept_out({path: path.name for path in paths})


@pytest.mark.parametrize(("share", "total", "number"), [(0.2, 0, 0), (0.2, 1, 0), (0.2, 2, 1), (0.99, 3, 2), (0, 9, 0)])
def test_one_is_kept_out_and_one_is_left(share, total, number):
    assert Split(share).number(total) == number
