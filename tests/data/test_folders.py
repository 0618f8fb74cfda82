"""Photographs from folders of one's own: what is found there, how masks are paired, what is refused."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from commands import listing, picture, write

import anomaly
from anomaly.data import sources
from anomaly.data.sources import Source
from anomaly.run import options
from anomaly.run.errors import DataError, UsageError


def put(root: Path, *names: str):
    for number, name in enumerate(names):
        write(root / name, picture(8, 8, seed=number))


def loaded(**chosen):
    source = Source(**chosen)
    [name] = sources.categories(source)
    return sources.load(source, name)


def pairs(category, root: Path) -> dict:
    return {str(each.path.relative_to(root)): each.mask and str(each.mask.relative_to(root)) for each in category.test}


@pytest.fixture
def parts(tmp_path) -> Path:
    root = tmp_path / "parts"
    put(root, *(f"lid/ok/{number}.png" for number in range(10)), "lid/nok/scratch/0.png", "lid/nok/hole/lot1/0.png")
    put(root, "lid/nok/1.png", "marks/scratch/0.png", "marks/hole/lot1/0_mask.png", "marks/1.png", "marks/77.png")
    return root


def test_folders_are_searched_and_name_the_defects(parts):
    before = listing(parts)
    category = loaded(good=[parts / "lid/ok"], bad=[parts / "lid/nok"], masks=[parts / "marks"])
    assert category.name == "lid"  # since ok says nothing
    assert len(category.train) == 8 and "2 of 10" in category.note
    bad = [sample for sample in category.test if sample.anomalous]
    assert [(sample.defect, str(sample.path.relative_to(parts))) for sample in bad] == [
        ("hole", "lid/nok/hole/lot1/0.png"),
        ("nok", "lid/nok/1.png"),
        ("scratch", "lid/nok/scratch/0.png"),
    ]
    found = pairs(category, parts)
    assert found["lid/nok/hole/lot1/0.png"] == "marks/hole/lot1/0_mask.png"
    assert (found["lid/nok/scratch/0.png"], found["lid/nok/1.png"]) == ("marks/scratch/0.png", "marks/1.png")
    assert category.unused == (parts / "marks/77.png",)
    assert listing(parts) == before


def test_patterns_files_and_several_folders(parts):
    put(parts, "lots/a/ok/0.png", "lots/b/ok/0.png", "lots/b/nok/0.png", "lots/a/ok/Thumbs.png", "lots/c/notes.png")
    (parts / "lots/b/notes.txt").write_text("x")
    good = [str(parts / "lots/*/ok"), parts / "lid/ok/3.png"]
    category = loaded(good=good, bad=str(parts / "lots/?/n*k"), test_share=0)
    assert [str(sample.path.relative_to(parts)) for sample in category.train] == [
        *("lots/a/ok/0.png", "lots/a/ok/Thumbs.png", "lots/b/ok/0.png", "lid/ok/3.png"),
    ]
    assert [sample.name for sample in category.test] == ["nok/0.png"] and category.name == "parts"
    assert loaded(good=parts / "lots/*/ok").name == loaded(good=parts / "lots/a*/ok").name == "lots"
    assert loaded(good=parts / "lid/ok/3.png").name == "lid"


def test_what_was_kept_out_does_not_depend_on_place_or_order(parts, tmp_path):
    put(parts, *(f"more/{number}.png" for number in range(20, 30)))
    shutil.copytree(parts, tmp_path / "elsewhere")
    kept = []
    for good in (
        [parts / "lid/ok", parts / "more"],
        [parts / "more", parts / "lid/ok"],
        [tmp_path / "elsewhere/lid/ok", tmp_path / "elsewhere/more"],
    ):
        category = loaded(good=good, seed=3)
        kept.append(sorted(sample.path.name for sample in category.test))
        assert len(kept[-1]) == 4 and len(category.train) == 16
    assert kept[0] == kept[1] == kept[2]
    assert sorted(sample.path.name for sample in loaded(good=good, seed=4).test) != kept[0]


def test_good_ones_to_test_on_leave_the_others_to_training(parts):
    put(parts, "held/0.png")
    category = loaded(good=parts / "lid/ok", test_good=parts / "held")
    assert len(category.train) == 10 and [sample.path.name for sample in category.test] == ["0.png"]
    assert category.note == ""


def test_several_folders_below_the_one_of_good_photographs_are_named(parts, tmp_path):
    both = loaded(good=(str(parts / "lid"),))
    assert "all are taken as good, in 2 folders: nok (3), ok (10)" in both.note
    assert "taken as good" not in loaded(good=(str(parts / "lid" / "ok"),)).note
    put(tmp_path / "days", *(f"{day}/a.png" for day in range(7)))
    assert "in 7 folders: 0 (1), 1 (1), 2 (1), 3 (1), 4 (1) and 2 more" in loaded(good=(str(tmp_path / "days"),)).note


def test_photographs_of_one_name_keep_apart(parts):
    put(parts, "l1/bad/0.png", "l2/bad/0.png", "l2/bad/1.png")
    category = loaded(good=parts / "lid/ok", bad=[parts / "l1/bad", parts / "l2/bad"], test_share=0)
    assert [sample.name for sample in category.test] == ["bad/l1/bad/0.png", "bad/l2/bad/0.png", "bad/1.png"]


def test_masks_of_several_lots_stay_in_their_lot(tmp_path):
    put(tmp_path, "good/9.png", "l1/bad/0.png", "l2/bad/0.png", "l3/bad/0.png", "l1/m/0.png", "l2/m/0_mask.bmp")
    category = loaded(good=tmp_path / "good", bad=tmp_path / "l*/bad", masks=tmp_path / "l*/m")
    assert pairs(category, tmp_path) == {
        "l1/bad/0.png": "l1/m/0.png",
        "l2/bad/0.png": "l2/m/0_mask.bmp",
        "l3/bad/0.png": None,
    }


def test_a_mask_of_another_defect_is_not_taken(tmp_path):
    put(tmp_path, "good/9.png", "bad/dent/0.png", "bad/hole/0.png", "masks/hole/0.png")
    found = loaded(good=tmp_path / "good", bad=tmp_path / "bad", masks=tmp_path / "masks")
    assert pairs(found, tmp_path) == {"bad/dent/0.png": None, "bad/hole/0.png": "masks/hole/0.png"}


def test_a_mask_that_may_be_of_two_photographs_is_an_error_that_names_them(tmp_path):
    put(tmp_path, "good/9.png", "bad/dent/0.png", "bad/hole/0.jpg", "masks/0.png")
    with pytest.raises(DataError) as caught:
        loaded(good=tmp_path / "good", bad=tmp_path / "bad", masks=tmp_path / "masks")
    for name in ("masks/0.png", "bad/dent/0.png", "bad/hole/0.jpg"):
        assert str(tmp_path / name) in str(caught.value)


def test_two_masks_of_one_photograph_are_an_error_but_for_the_two_ways_to_name_it(tmp_path):
    put(tmp_path, "good/9.png", "bad/0.png", "masks/0.png", "masks/0_mask.png")
    chosen = {"good": tmp_path / "good", "bad": tmp_path / "bad", "masks": tmp_path / "masks"}
    assert pairs(loaded(**chosen), tmp_path) == {"bad/0.png": "masks/0_mask.png"}
    put(tmp_path, "masks/0.bmp")
    (tmp_path / "masks/0_mask.png").unlink()
    with pytest.raises(DataError, match=r"bad/0.png: has two masks"):
        loaded(**chosen)


def test_masks_may_lie_among_the_photographs(tmp_path):
    put(tmp_path, "good/9.png", "bad/0.png", "bad/masks/0.png")
    category = loaded(good=tmp_path / "good", bad=tmp_path / "bad", masks=tmp_path / "bad/masks")
    assert pairs(category, tmp_path) == {"bad/0.png": "bad/masks/0.png"}


def test_links_are_followed_and_lead_in_no_circle(parts):
    (parts / "lid/ok/again").symlink_to(parts / "lid/ok")
    (parts / "linked").symlink_to(parts / "lid/ok")
    assert len(loaded(good=[parts / "linked", parts / "lid/ok"], test_share=0).train) == 10


@pytest.mark.parametrize("name", ["a,b", "two words", "-dash", "line\nbreak", "star*[1]", "日本", "it's"])
def test_names_with_odd_signs_survive(tmp_path, monkeypatch, name):
    put(tmp_path, f"{name}/{name}.png", f"{name}/1.png", "bad/2.png")
    monkeypatch.chdir(tmp_path)
    source = Source(good=[name], bad="bad")
    text = options.to_yaml(options.to_values(source)).encode()
    again = Source(**options.from_text(Source, text, path=Path("config.yaml")))
    assert again == source and source.good == (os.path.join(tmp_path, name),)
    monkeypatch.chdir("/")
    [called] = sources.categories(again)
    assert len(sources.load(again, called).test) == 2
    assert "," not in called and "\n" not in called and not called.startswith("-")


def test_a_pattern_below_a_folder_with_odd_signs(tmp_path, monkeypatch):
    put(tmp_path, "in [1]/lot1/ok/0.png", "in 1/lot2/ok/0.png")
    monkeypatch.chdir(tmp_path / "in [1]")
    source = Source(good="*/ok")
    monkeypatch.chdir("/")
    assert len(sources.load(source, "x").train) == 1


REFUSED = [
    ({"good": ["nowhere"]}, DataError, r"--good .*nowhere: no such file or folder"),
    ({"good": ["no*where"]}, DataError, r"--good .*no\*where: matches no folder and no image"),
    ({"good": ["empty"]}, DataError, r"--good .*empty: holds no image"),
    ({"good": ["lid/ok", "empty"]}, DataError, r"--good .*empty: holds no image"),
    ({"good": ["notes.txt"]}, DataError, r"--good .*notes.txt: is neither a folder nor an image"),
    ({"good": ["gone"]}, DataError, r"--good .*gone: is a link that leads nowhere"),
    ({"good": ["lid/ok"], "bad": ["lid/ok"]}, DataError, r"lid/ok: is in both --good and --bad"),
    ({"good": ["lid"], "bad": ["lid/nok"]}, DataError, r"lid/nok/1.png: is in both --good and --bad"),
    ({"good": ["lid/ok"], "bad": ["twin"]}, DataError, r"twin/0.png: is in both --good \(as .*ok/0.png\) and --bad"),
    ({"good": ["lid/ok"], "test_good": ["lid/ok/0.png"]}, DataError, r"0.png: is in both --good and --test_good"),
    ({"good": ["lid/ok/1.png"], "bad": ["lid"]}, DataError, r"1.png: is in both --good and --bad"),
    (
        {"good": ["lid/ok/1.png"], "bad": ["tests"]},
        DataError,
        r"tests/Good/0.png: is below --bad, .* called Good",
    ),
    ({"good": ["lid/ok"], "masks": ["marks"]}, UsageError, "--masks: belong to photographs of defects"),
    ({"good": ["lid/ok"], "dataset_path": "lid"}, UsageError, "one or other"),
    ({"good": ["lid/ok"], "layout": "visa"}, UsageError, "--layout visa"),
    ({"good": ["lid/ok"], "category": "a b,c"}, UsageError, "one name is needed"),
    ({"good": ["lid/ok"], "category": "../out"}, UsageError, "one name is needed"),
    ({"good": ["lid/ok"], "category": "all"}, UsageError, "one name is needed"),
    ({"good": ["lid/ok"], "test_share": 1}, UsageError, "test_share: '1' is not allowed"),
    ({"good": [""]}, UsageError, "good: .* is not allowed"),
]


@pytest.mark.parametrize(("chosen", "kind", "said"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(parts, monkeypatch, chosen, kind, said):
    (parts / "empty/below").mkdir(parents=True)
    (parts / "twin").mkdir()
    (parts / "twin/0.png").symlink_to(parts / "lid/ok/0.png")
    (parts / "gone").symlink_to(parts / "never")
    (parts / "notes.txt").write_text("x")
    put(parts, "tests/Good/0.png", "tests/dent/0.png")
    monkeypatch.chdir(parts)
    with pytest.raises(kind, match=said) as caught:
        loaded(**chosen)
    assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_read(parts, monkeypatch):
    scandir, closed = os.scandir, str(parts / "lid/nok/hole")  # whoever runs this as root may read everything

    def refusing(path):
        if str(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), closed)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"lid/nok/hole: cannot be read \(Permission denied\)"):
        loaded(good=parts / "lid/ok", bad=parts / "lid/nok")


def test_from_python(parts):
    category = anomaly.folders(parts / "lid/ok", bad=[parts / "lid/nok"], seed=2, test_share=0.5, name="cover")
    assert (category.name, len(category.train), len(category.test)) == ("cover", 5, 8)
    with pytest.raises(UsageError, match="good"):
        anomaly.folders()
