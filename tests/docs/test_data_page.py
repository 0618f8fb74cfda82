"""docs/data.md names every layout and option, its table in CSV is read, and its report is one that a check prints."""

import re
from pathlib import Path

import pytest
from commands import picture, write

from anomaly.data import alike, check, layouts, sources
from anomaly.data.layouts import load_category

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_every_layout_and_every_option_has_its_place():
    assert set(re.findall(r"^\*\*(\w+)\*\*: ", TEXT, re.MULTILINE)) == set(layouts.LAYOUTS)
    for name in (*sources.OWN, "test_share", "layout", "seed"):
        assert f"`--{name}" in TEXT


def test_the_table_is_read_as_it_stands(tmp_path):
    [table] = [block for block in BLOCKS if block.startswith("path,label")]
    (tmp_path / "parts.csv").write_text(table)
    for name in ("lot1/000.png", "lot1/001.png", "lot2/007.png", "masks/007.png"):
        write(tmp_path / name, picture(8, 8))
    category = load_category(tmp_path / "parts.csv")
    assert [sample.path.name for sample in category.train] == ["000.png"]
    assert [(sample.path.name, sample.defect) for sample in category.test] == [
        ("001.png", "good"),
        ("007.png", "scratch"),
    ]


@pytest.mark.parametrize("name", ["mvtec", "loco", "mvtec_ad_2", "btad", "visa", "ksdd2", "folders"])
def test_the_tree_of_a_layout_is_recognised_as_that_one(tmp_path, name):
    """Files are made as the tree lists them."""
    tree = TEXT.split(f"**{name}**: ")[1].split("```text\n")[1].split("```")[0]
    for line in tree.splitlines():
        words = line.replace("<defect>", "hole").replace("*", "000").split()
        paths = [words[0]] if "{" not in words[0] else expanded(words[0])
        if name == "ksdd2":
            paths = [f"{Path(words[0].rstrip(',')).parent}/{Path(word.rstrip(',')).name}" for word in words[:2]]
        for path in paths:
            if Path(path).suffix.lower() in (".png", ".jpg"):
                write(tmp_path / path, picture(64, 64))
    [category] = layouts.categories(tmp_path)
    assert layouts.recognised(tmp_path / category) is layouts.LAYOUTS[name]


def expanded(path: str) -> list:
    before, inside, after = re.fullmatch(r"(.*)\{(.*)\}(.*)", path).groups()
    return [f"{before}{word}{after}" for word in inside.split(",")]


def test_the_report_is_one_that_a_check_prints():
    [report] = [block for block in BLOCKS if "to train on" in block]
    levels = [line.split(":")[0] for line in report.splitlines() if line and not line.startswith((" ", "hazelnut"))]
    assert levels == sorted(levels, key=check.LEVELS.index) and set(levels) == set(check.LEVELS)


def test_the_tolerances_are_those_of_the_program():
    assert f"at most {alike.NEAR} grey levels" in TEXT and f"nowhere by more than {alike.NEAREST:g}" in TEXT
    assert alike.USUAL == 0.1 and "a tenth of what is usual" in TEXT
    assert f"than {alike.UNLIKE:g} robust standard deviations and {alike.LEVELS:g} grey levels" in TEXT
