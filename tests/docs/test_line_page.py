"""Every command of docs/line.md and then of docs/thresholds.md, one after the other, as they stand there."""

import csv
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pages
import pytest

from anomaly.show import tables

pytestmark = pytest.mark.xdist_group("line-page")  # what one test makes the others use
RUN = ("docs/line.md", "docs/thresholds.md")
TEXT, THRESHOLDS = map(pages.read, RUN)
BLOCKS = [block.text for page in RUN for block in pages.blocks(page, "bash")]


@pytest.fixture(scope="module")
def line(tmp_path_factory) -> Iterator[tuple]:
    """The folder in which all were run, and what each printed."""
    folder, printed = tmp_path_factory.mktemp("line"), []
    with pages.Inside(folder):
        for block in BLOCKS:
            for words in pages.typed(block):
                done = pages.called(words)
                assert done.code == 0, f"{shlex.join(words)}\n{done.out}\n{done.err}"
                printed.append(done.out)
        yield folder, "\n".join(printed)


def results(folder: Path, category: str) -> dict:
    return json.loads((folder / "line" / category / "results.json").read_text())


def test_every_command_works_and_says_what_the_page_says(line):
    _, printed = line
    for text in (
        "to train on",
        "in force",
        "the largest scores in training",
        "kept in",
        "changed: ",
        "kept out of training",
    ):
        assert text in printed, text
    assert "RANDOM" not in printed and "Traceback" not in printed
    assert len(BLOCKS) >= 10 and pages.blocks("docs/thresholds.md", "bash")


def test_the_verdicts_have_regions_in_the_photograph(line):
    folder, _ = line
    rows = json.loads((folder / "line" / "verdicts.json").read_text())
    assert {row["verdict"] for row in rows} == {"NORMAL", "ANOMALOUS"}
    keys = set(re.findall(r"`(\w+)`", TEXT.split("| key | |")[1].split("\n\n")[0].split("| `regions`")[0]))
    assert keys - {"NORMAL", "ANOMALOUS", "UNKNOWN"} <= rows[0].keys()
    for row in rows:
        assert bool(row["regions"]) is (row["verdict"] == "ANOMALOUS")
        for region in row["regions"]:
            assert {"box", "area", "peak", "normalised", "at"} == region.keys()
            left, top, width, height = region["box"]
            assert 0 <= left < left + width <= 256 and 0 <= top < top + height <= 256
    with open(folder / "line" / "verdicts.csv", newline="") as file:
        assert [json.loads(row["regions"]) for row in csv.DictReader(file)]


def test_masks_and_maps_have_the_photographs_size_and_agree(line):
    folder, _ = line
    maps = sorted((folder / "line" / "lid" / "maps").rglob("*.npy"))
    assert len(maps) == 6
    for path in maps:
        values = np.load(path)
        assert values.shape == (256, 256) and np.isfinite(values).all()
        place = folder / "line" / "lid" / "masks" / path.relative_to(folder / "line" / "lid" / "maps")
        mask = cv2.imread(str(place.with_suffix(".png")), cv2.IMREAD_GRAYSCALE)
        assert set(np.unique(mask)) <= {0, 255}
        if mask.any():
            assert values[mask > 0].min() >= values[mask == 0].max()


def test_the_region_the_tiles_and_the_proportions_are_kept(line):
    folder, _ = line
    for category, key, value in (("tiles", "tile", [128, 128]), ("wide", "keep_aspect", True)):
        assert json.loads((folder / "line" / category / "state.json").read_text())["options"][key] == value
    assert json.loads((folder / "line" / "inside" / "state.json").read_text())["options"]["roi"].startswith("rle:")
    assert results(folder, "tiles")["img_auc"] is not None


def test_the_table_on_the_page_is_one_that_an_evaluation_prints():
    [table] = re.findall(r"^```text\n(.*?)^```", THRESHOLDS, re.DOTALL | re.MULTILINE)
    rows = [line.split() for line in table.splitlines() if re.match(r" +0\.", line)]
    found = {
        "good_left_out": 24,
        "verdicts": {"good": 6, "anomalous": 18},
        "rates": [
            {
                "false_alarm_rate": float(row[0]),
                "threshold": float(row[1]),
                "good_above": int(row[2]),
                "false_alarms": int(row[5]),
                "missed": int(row[8]),
                "chosen": "<-" in row,
            }
            for row in rows
        ],
        "deciding": [
            {"name": name, "score": float(score)}
            for name, score in re.findall(r"(\d+\.png) \(([\d.]+)\)", table.splitlines()[-1])
        ],
        "advice": "",
    }
    assert "\n".join(tables.of_threshold(found)) == "\n".join(table.splitlines()[1:])
