"""States that an earlier version wrote (format 1) are still read, and judge as they did then.

tests/golden holds a small state of each method with the results that its evaluation gave, and the photographs.
"""

import json
import shutil
from pathlib import Path

import pytest
from commands import CPU, run

import anomaly
from anomaly import methods
from anomaly.commands import command
from anomaly.deploy import state
from anomaly.run.errors import DataError

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
METHODS = ("patchcore", "padim", "fastflow")
FIGURES = ("img_auc", "pixel_auc", "aupro", "img_f1", "pixel_f1", "img_ap", "pixel_ap")


@pytest.fixture(params=METHODS)
def old(request, tmp_path) -> Path:
    """A copy of a state, to write beside it."""
    folder = tmp_path / request.param / "gear"
    shutil.copytree(GOLDEN / request.param / "gear", folder)
    return folder


def test_it_gives_the_scores_and_figures_of_then(old):
    expected = json.loads((old / "results.json").read_text())
    (old / "results.json").unlink()
    main = command("eval", old.parent.name)
    data = ("--dataset_path", GOLDEN / "photographs", "--category", "gear", "--output_dir", old.parent)
    result = run(main, *data, *CPU)
    assert result.code == 0, result.err
    found = json.loads((old / "results.json").read_text())
    assert found.keys() >= expected.keys()
    for key in FIGURES:
        assert found[key] == pytest.approx(expected[key], abs=5e-5), key
    assert found["threshold"] == pytest.approx(expected["threshold"])
    by_name = {image["name"]: image for image in expected["images"]}
    assert len(by_name) == len(found["images"])
    for one in found["images"]:
        other = by_name[one["name"]]
        assert (one["name"], one["verdict"]) == (other["name"], other["verdict"])
        assert one["score"] == pytest.approx(other["score"], rel=1e-4)


def test_saved_again_it_has_the_format_of_today(old, tmp_path):
    detector = anomaly.load(old, device_target="CPU")
    detector.save(tmp_path / "again" / "gear")
    record = json.loads((tmp_path / "again" / "gear" / "state.json").read_text())
    assert record["format_version"] == state.FORMAT_VERSION and record["checksum"] == state.checksum(record)
    photograph = GOLDEN / "photographs" / "gear" / "test" / "rust" / "000.png"
    again = anomaly.load(tmp_path / "again" / "gear", device_target="CPU")
    assert again.judge(photograph).score == detector.judge(photograph).score


def test_a_record_of_today_that_was_changed_is_refused(old, tmp_path):
    folder = tmp_path / "again" / "gear"
    anomaly.load(old, device_target="CPU").save(folder)
    record = json.loads((folder / "state.json").read_text())
    record["good_scores"][0] += 1
    (folder / "state.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"state\.json: changed since training"):
        anomaly.load(folder)


def test_a_format_of_the_future_is_refused_by_its_number(old):
    record = json.loads((old / "state.json").read_text())
    (old / "state.json").write_text(json.dumps({**record, "format_version": 99}))
    with pytest.raises(DataError, match="of format 99"):
        anomaly.load(old)


def test_every_method_of_then_is_still_here():
    assert set(METHODS) <= set(methods.names())
