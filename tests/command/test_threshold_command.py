"""A threshold that is chosen after training and kept."""

import json
import re
import shutil

import pytest
import yaml

from anomaly.__main__ import main
from anomaly.commands import command
from anomaly.deploy import description
from anomaly.run.errors import DataError
from tests.tools import commands


@pytest.fixture
def folder(trained, tmp_path):
    shutil.copytree(trained[0] / "gear", tmp_path / "gear")
    return tmp_path / "gear"


def kept(folder) -> dict:
    return json.loads((folder / "state.json").read_text())["options"]


def evaluated(toy, folder, *more) -> dict:
    assert commands.evaluate(toy, folder.parent, "--category", "gear", "--pictures", "0", *more).code == 0
    return json.loads((folder / "results.json").read_text())


def test_what_is_kept_holds_for_all_that_comes_after(toy, folder):
    assert commands.run(main, "threshold", folder, "--value", "123.5").code == 0
    assert evaluated(toy, folder)["threshold"] == 123.5
    assert evaluated(toy, folder, "--false_alarm_rate", "0.2")["threshold"] < 123.5
    assert evaluated(toy, folder, "--threshold", "7")["threshold"] == 7
    assert evaluated(toy, folder, "--robust_threshold", "true")["threshold"] < 123.5
    made = folder / "m.onnx"
    exported = commands.run(
        command("export", "patchcore"),
        *("--category", "gear", "--output_dir", folder.parent, "--file_format", "ONNX", "--file_name", made),
        *commands.CPU,
    )
    assert exported.code == 0
    assert json.loads(made.with_suffix(".json").read_text())["threshold"] == 123.5
    result = commands.run(main, "threshold", folder, "--false_alarm_rate", "0.1")
    assert result.code == 0
    after = json.loads(made.with_suffix(".json").read_text())  # the model beside the state has it too
    assert after["false_alarm_rate"] == 0.1
    assert after["threshold"] == evaluated(toy, folder)["threshold"]


def test_a_model_beside_it_that_fell_behind_is_brought_up(toy, folder):
    made = folder / "m.onnx"
    where = ("--category", "gear", "--output_dir", folder.parent, "--file_format", "ONNX", "--file_name", made)
    assert commands.run(command("export", "patchcore"), *where, *commands.CPU).code == 0
    before = made.with_suffix(".json").read_text()
    assert commands.run(main, "threshold", folder, "--value", "5").code == 0
    made.with_suffix(".json").write_text(before)  # as where it was killed in between
    for name in ("dangling.json", "a.json"):
        (folder / name).symlink_to(folder / "nowhere")
    result = commands.run(main, "threshold", folder)
    assert f"{made.with_suffix('.json')} has another threshold" in result.out
    assert commands.run(main, "threshold", folder, "--value", "5").code == 0
    assert json.loads(made.with_suffix(".json").read_text())["threshold"] == 5
    other = commands.unsealed(made.with_suffix(".json"))
    other["good_scores"][0] *= 2
    made.with_suffix(".json").write_text(json.dumps(other))
    assert "of another training" in commands.run(main, "threshold", folder, "--value", "6").out
    assert json.loads(made.with_suffix(".json").read_text())["threshold"] == other["threshold"]


def test_a_training_says_which_models_are_of_the_one_before(toy, folder):
    made = folder / "m.onnx"
    where = ("--category", "gear", "--output_dir", folder.parent)
    exported = ("--file_format", "ONNX", "--file_name", made)
    assert commands.run(command("export", "patchcore"), *where, *exported, *commands.CPU).code == 0
    for more, told in (((), False), (("--seed", "7"), True)):
        result = commands.train(toy, folder.parent, "--category", "gear", *more)
        assert result.code == 0
        note = f"note: {made.with_suffix('.json')} describes a model of an earlier training; export it again"
        assert (note in result.out) is told


def test_numbers_that_somebody_edited_are_put_right(folder):
    made = folder / "m.onnx"
    where = ("--category", "gear", "--output_dir", folder.parent, "--file_format", "ONNX", "--file_name", made)
    assert commands.run(command("export", "patchcore"), *where, *commands.CPU).code == 0
    path = made.with_suffix(".json")
    whole = json.loads(path.read_text())
    before = commands.unsealed(path)
    for wrong in (1.0, None):
        path.write_text(json.dumps({**whole, "threshold": wrong}))
        assert f"{path}: damaged" in commands.run(main, "threshold", folder).out  # by its checksum
        path.write_text(json.dumps({**before, "threshold": wrong}))
        assert "has another threshold" in commands.run(main, "threshold", folder).out
        assert commands.run(main, "threshold", made, "--false_alarm_rate", "0.01").code == 0
        assert commands.unsealed(path) == before
    path.write_text(path.read_text()[:700])
    assert f"{path}: damaged" in commands.run(main, "threshold", folder, "--value", "7").out


def test_what_could_not_be_kept_everywhere_is_said(folder, monkeypatch):
    made = folder / "m.onnx"
    where = ("--category", "gear", "--output_dir", folder.parent, "--file_format", "ONNX", "--file_name", made)
    assert commands.run(command("export", "patchcore"), *where, *commands.CPU).code == 0

    def refuse(*arguments):
        raise DataError("m.json: cannot be written")

    monkeypatch.setattr(description, "keep", refuse)
    result = commands.run(main, "threshold", folder, "--value", "7")
    assert result.err == f"error: m.json: cannot be written; it is kept already in {folder / 'state.json'}\n"


def test_the_options_to_read_follow(toy, folder):
    assert commands.run(main, "threshold", folder, "--value", "5").code == 0
    assert yaml.safe_load((folder / "config.yaml").read_text())["threshold"] == 5
    result = commands.evaluate(
        toy, folder.parent, "--category", "gear", "--pictures", "0", "--config", folder / "config.yaml"
    )
    assert result.code == 0 and "edited" not in result.err
    assert json.loads((folder / "results.json").read_text())["threshold"] == 5
    edited = (folder / "config.yaml").read_text() + "# mine"
    (folder / "config.yaml").write_text(edited)
    assert commands.run(main, "threshold", folder, "--value", "6").code == 0
    assert (folder / "config.yaml").read_text() == edited


def test_a_damaged_evaluation_is_said(folder):
    results = json.loads((folder / "results.json").read_text())
    results["images"][0]["anomalous"] = "False"
    (folder / "results.json").write_text(json.dumps(results))
    result = commands.run(main, "threshold", folder, "--suggest")
    assert result.code == 1 and result.err == f"error: {folder / 'results.json'}: damaged; run eval.py again\n"


def test_a_suggestion_by_labels_says_so(toy, folder):
    before = evaluated(toy, folder, "--threshold", "1e6")  # all defects are missed
    assert before["verdicts"]["missed"] == before["verdicts"]["anomalous"]
    commands.run(main, "threshold", folder, "--value", "1e6")
    result = commands.run(main, "threshold", folder, "--suggest")
    assert "by their labels" in " ".join(result.out.split())
    assert kept(folder)["threshold_source"] == "test labels"
    after = evaluated(toy, folder)
    assert after["threshold_chosen"] == "chosen by test labels"
    assert after["img_f1"] is not None
    found = after["verdicts"]
    true = found["anomalous"] - found["missed"]
    assert 2 * true / (2 * true + found["false_alarms"] + found["missed"]) == pytest.approx(after["img_f1"])


def test_figures_of_another_detector_are_not_taken(toy, folder):
    evaluated(toy, folder, "--threshold", "1e6")
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**results, "good_scores_sha256": "0"}))
    result = commands.run(main, "threshold", folder)
    assert re.search(r"0 of 6 +- +-\n", result.out)


def test_one_that_is_meant_for_normalised_scores_is_told(folder):
    said = commands.run(main, "threshold", folder / "state.json", "--value", "0.5").out  # the record is the state too
    assert "good photographs score above 0.5, so most good parts are called" in said
    assert kept(folder)["threshold"] == 0.5
    assert "note:" not in commands.run(main, "threshold", folder, "--value", f"{middle(folder):.3f}").out


def middle(folder) -> float:
    """Between the largest score of a photograph of training and the largest of all."""
    results = json.loads((folder / "results.json").read_text())
    good = max(each["score"] for each in results["deciding"])
    anomalous = max(image["score"] for image in results["images"] if image["anomalous"])
    assert good < anomalous
    return (good + anomalous) / 2


def test_one_above_everything_is_told(folder):
    assert "no photograph so far scores above 1e+06" in commands.run(main, "threshold", folder, "--value", "1e6").out


def test_what_ends_a_value_that_was_kept_is_told(folder):
    assert commands.run(main, "threshold", folder, "--value", "5").code == 0
    said = commands.run(main, "threshold", folder, "--robust").out
    assert "note: 5, which was chosen as a value before, is no longer in force" in said
    assert "no longer" not in commands.run(main, "threshold", folder, "--robust").out


def test_a_value_that_calls_good_parts_anomalous_is_not_suggested_again(folder):
    """All photographs of the test are on its right side, but those of training are not."""
    results = json.loads((folder / "results.json").read_text())
    for image in results["images"]:
        image["score"] = 1e5 if image["anomalous"] else 0.0
    (folder / "results.json").write_text(json.dumps(results))
    assert "so most good parts are called" in commands.run(main, "threshold", folder, "--value", "0.5").out
    said = commands.run(main, "threshold", folder, "--suggest").out
    assert "suggested: 50000, the best F1" in said and kept(folder)["threshold"] == 50000
    assert "suggested: the threshold as it is; none of" in commands.run(main, "threshold", folder, "--suggest").out


def test_without_flags_nothing_is_written(folder):
    before = commands.listing(folder)
    assert commands.run(main, "threshold", folder).code == 0
    assert commands.listing(folder) == before


def test_an_edited_config_is_not_looked_at_and_says_so(toy, folder):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "false_alarm_rate": 0.5}))
    result = commands.evaluate(toy, folder.parent, "--category", "gear")
    assert result.code == 0
    assert "edited after training" in result.out + result.err
    assert json.loads((folder / "results.json").read_text())["false_alarm_rate"] == 0.01


@pytest.mark.parametrize(
    "arguments", [("--value", "1", "--suggest"), ("--value", "nan"), ("--false_alarm_rate", "1.5"), ("--value", "x")]
)
def test_what_is_no_threshold_is_refused(folder, arguments):
    before = commands.listing(folder)
    assert commands.run(main, "threshold", folder, *arguments).code == 2
    assert commands.listing(folder) == before


def test_the_wrong_ones_come_first(toy, folder):
    found = evaluated(toy, folder, "--threshold", "1e6")["images"]
    assert [image["wrong"] for image in found] == sorted((image["wrong"] for image in found), reverse=True)
    rows = (folder / "results.csv").read_text().splitlines()
    assert rows[0].split(",")[:3] == ["name", "wrong", "verdict"]
    assert [row.split(",")[1] for row in rows[1:]] == [str(image["wrong"]) for image in found]


def test_no_pictures_leaves_those_that_are_there(toy, folder):
    before = commands.listing(folder / "sample")
    evaluated(toy, folder)
    assert commands.listing(folder / "sample") == before


def test_the_photographs_that_decide_are_drawn(toy, folder):
    results = json.loads((folder / "results.json").read_text())
    names = {each["name"] for each in results["deciding"]}
    assert names <= {path.name for path in (toy / "gear" / "train" / "good").iterdir()}
    assert {path.name for path in (folder / "sample" / "train").iterdir()} == names
