"""The threshold in an exported file is the threshold, whatever runs it; a rate on the command line goes before."""

import json
import shutil
from pathlib import Path

import pytest
from commands import CPU, run, unsealed

import anomaly
from anomaly.commands import command

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PHOTOGRAPHS = GOLDEN / "photographs" / "gear" / "test"
LENIENT = 0.6


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A model with another false alarm rate than its state has; with the state's, nothing is anomalous."""
    folder = tmp_path_factory.mktemp("threshold") / "padim" / "gear"
    shutil.copytree(GOLDEN / "padim" / "gear", folder)
    model = folder / "strict.onnx"
    base = ("--category", "gear", "--output_dir", folder.parent, *CPU)
    result = run(
        command("export", "padim"), *base, "--file_format", "ONNX", "--file_name", model, "--false_alarm_rate", LENIENT
    )
    assert result.code == 0, result.err
    return model


def verdicts(model: Path, tmp_path: Path, *more) -> list:
    table = tmp_path / "verdicts.json"
    base = ("--category", "gear", "--output_dir", tmp_path, "--image_path", PHOTOGRAPHS, "--model_path", model)
    result = run(command("predict", "padim"), *base, "--save_json", table, "--no_pictures", *more)
    assert result.code == 0, result.err
    return [row["verdict"] for row in json.loads(table.read_text())]


def test_the_two_rates_give_opposite_verdicts(exported):
    detector = anomaly.load(exported)
    judged = [[each.verdict for each in found.judge(PHOTOGRAPHS)] for found in (detector, detector.with_rate(0.01))]
    assert "ANOMALOUS" in judged[0] and "ANOMALOUS" not in judged[1]


def test_prediction_holds_to_the_file(exported, tmp_path):
    expected = [each.verdict for each in anomaly.load(exported).judge(PHOTOGRAPHS)]
    assert verdicts(exported, tmp_path) == expected
    assert "ANOMALOUS" not in verdicts(exported, tmp_path, "--false_alarm_rate", "0.01")


def test_evaluation_holds_to_the_file(exported, tmp_path):
    about = unsealed(exported.with_suffix(".json"))
    base = (
        "--dataset_path",
        GOLDEN / "photographs",
        "--category",
        "gear",
        "--output_dir",
        tmp_path,
        "--model_path",
        exported,
    )
    for more, rate in (((), LENIENT), (("--false_alarm_rate", "0.01"), 0.01)):
        result = run(command("eval", "padim"), *base, *more)
        assert result.code == 0, result.err
        found = json.loads((tmp_path / "gear" / "results.json").read_text())
        assert found["false_alarm_rate"] == rate
        assert (found["threshold"] == about["threshold"]) == (rate == LENIENT)


def test_what_a_device_gave_back_is_held_to_the_file(exported, tmp_path):
    sent, back = tmp_path / "sent", tmp_path / "back"
    base = ("--category", "gear")
    data = ("--dataset_path", GOLDEN / "photographs", "--output_dir", sent, "--model_path", exported)
    assert run(command("preprocess", "padim"), *base, *data).code == 0
    back.mkdir()
    judged = anomaly.load(exported).judge([entry["path"] for entry in images(sent)])
    rows = ["name,score"]
    for entry, judgement in zip(images(sent), judged):
        judgement.map.tofile(back / f"{entry['bin']}.bin")
        rows.append(f"{entry['bin']},{judgement.score!r}")
    (back / "results.csv").write_text("\n".join(rows) + "\n")
    assert run(command("postprocess", "padim"), *base, "--result_dir", back, "--label_dir", sent / "label").code == 0
    found = json.loads((back / "results.json").read_text())
    assert [image["verdict"] for image in found["images"]] == [judgement.verdict for judgement in judged]


def images(sent: Path) -> list:
    return json.loads((sent / "label" / "index.json").read_text())["images"]


@pytest.mark.parametrize(
    "change", [{"threshold": float("nan")}, {"unit": 0}, {"pixel_threshold": "high"}, {"unit": -1}]
)
def test_a_threshold_that_is_none_is_refused(exported, tmp_path, change):
    shutil.copy(exported, tmp_path / "a.onnx")
    about = unsealed(exported.with_suffix(".json"))
    (tmp_path / "a.json").write_text(json.dumps({**about, **change}))
    with pytest.raises(anomaly.DataError, match=r"a\.json: (damaged|not valid JSON)"):
        anomaly.load(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    "change",
    [
        {"size": [32, 48]},
        {"resize": [64]},
        {"resize": [64.0, 64.0]},
        {"batch_size": 0},
        {"batch_size": -1},
        {"batch_size": "many"},
        {"category": ["gear"]},
        {"remark": None},
        {"good_scores": [[1.0, 2.0]]},
        {"good_scores": [1.0]},
        {"good_names": ["a"]},
    ],
)
def test_what_does_not_belong_together_is_refused(exported, tmp_path, change):
    shutil.copy(exported, tmp_path / "a.onnx")
    about = unsealed(exported.with_suffix(".json"))
    place = about["input"] if change.keys() <= about["input"].keys() else about
    place.update(change)
    (tmp_path / "a.json").write_text(json.dumps(about))
    with pytest.raises(anomaly.DataError, match=r"a\.json: (damaged|not valid JSON)"):
        anomaly.load(tmp_path / "a.onnx")


def test_the_smallest_unit_makes_no_verdict_without_a_number(exported, tmp_path):
    shutil.copy(exported, tmp_path / "a.onnx")
    about = unsealed(exported.with_suffix(".json"))
    bare = {"good_scores": [], "good_peaks": [], "good_names": []}  # from which another unit would follow
    (tmp_path / "a.json").write_text(json.dumps({**about, **bare, "unit": 1e-320}))
    scale = anomaly.load(tmp_path / "a.onnx").scales.image
    assert [float(scale.normalise(score)) for score in (-9, scale.threshold, 9e9)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("key", "value"), [("format_version", 3), ("format_version", None)])
def test_a_description_of_another_format_is_refused(exported, tmp_path, key, value):
    shutil.copy(exported, tmp_path / "a.onnx")
    about = unsealed(exported.with_suffix(".json"))
    (tmp_path / "a.json").write_text(json.dumps({**about, key: value}))
    with pytest.raises(anomaly.DataError, match="of format"):
        anomaly.load(tmp_path / "a.onnx")


def test_a_model_is_saved_beside_its_description_and_judges_the_same(exported, tmp_path):
    detector = anomaly.load(exported)
    for folder in (tmp_path / "copy", exported.parent):  # the second is where it lies already
        detector.save(folder)
        again = anomaly.load(folder / exported.name)
        assert again.scales == detector.scales
        assert [each.score for each in again.judge(PHOTOGRAPHS)] == [each.score for each in detector.judge(PHOTOGRAPHS)]


def test_an_onnx_file_is_judged_without_mindspore(exported, tmp_path):
    import subprocess
    import sys

    program = (
        "import sys; sys.modules['mindspore'] = None; sys.path.insert(0, sys.argv.pop(1));"
        "from padim import predict; sys.exit(predict.main())"
    )
    root = Path(__file__).resolve().parents[2]
    words = [sys.executable, "-c", program, root, "--category", "gear", "--output_dir", tmp_path]
    words += ["--image_path", PHOTOGRAPHS / "rust", "--model_path", exported]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rust") == 2 and (tmp_path / "gear" / "predict" / "000.png").is_file()
