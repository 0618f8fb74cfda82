"""An exported model proves itself before it judges, and its description says when it was changed, in Python and C++."""

import base64
import json

import numpy as np
import onnx
import pytest
import tiny_model
from commands import picture, unsealed, write
from cpp import PLAIN, WEIGHTS, export, infer, judge, one_error
from onnx import numpy_helper

import anomaly
from anomaly.deploy import description, exported, proof, seal
from anomaly.measure.calibration import Calibration, Choice
from anomaly.run.errors import DataError


def oracle(images: np.ndarray) -> tuple:
    """What the model of tiny_model gives."""
    maps = np.abs(images.astype(float).mean(axis=3) - tiny_model.GREY)
    return maps, maps.max(axis=(1, 2))


def known(images: np.ndarray) -> tuple:
    """What the model of cpp gives."""
    return images @ WEIGHTS, images.mean(axis=(1, 2, 3))


def with_constant(model, name: str, change) -> None:
    """Changes a number inside the model, and lets the description agree."""
    graph = onnx.load(model)
    [place] = [each for each in graph.graph.initializer if each.name == name]
    value = np.asarray(change(numpy_helper.to_array(place)), np.float32)
    place.CopyFrom(numpy_helper.from_array(value, name))
    onnx.save(graph, model)
    about = json.loads(model.with_suffix(".json").read_text())
    seal.write(model.with_suffix(".json"), {**about, "sha256": {"onnx": exported.sha256(model)}})


@pytest.fixture(params=[None, 3])
def tiny(request, tmp_path):
    """A model of any batch, and of three."""
    model = tiny_model.write(tmp_path / "part.onnx", batch=request.param)
    about = json.loads(model.with_suffix(".json").read_text())
    made = proof.made((tiny_model.SIDE, tiny_model.SIDE), oracle)
    seal.write(model.with_suffix(".json"), {**about, "proof": made})
    return model


def test_a_model_that_gives_what_its_detector_gave_is_run(tiny):
    with_constant(tiny, "grey", lambda value: value + 0.01)  # of a range of some 100
    assert anomaly.load(tiny).judge(tiny_model.photograph(defect=True)).verdict == "ANOMALOUS"


@pytest.mark.parametrize("change", [lambda grey: grey + 1.0, lambda grey: grey * np.nan], ids=["a little", "no number"])
def test_one_that_gives_something_else_is_refused(tiny, change):
    with_constant(tiny, "grey", change)
    with pytest.raises(DataError, match="gives other numbers here than the detector") as caught:
        anomaly.load(tiny)
    assert str(caught.value).startswith(f"{tiny}: ") and "float32 allows 0.002" in str(caught.value)


def test_what_an_earlier_version_exported_is_run_without_a_proof(tmp_path):
    model = tiny_model.write(tmp_path / "part.onnx")
    assert "proof" not in json.loads(model.with_suffix(".json").read_text())
    assert anomaly.load(model).about.proof is None


@pytest.mark.parametrize(
    "change",
    [{"score": None}, {"rows": [64]}, {"columns": []}, {"map": [1.0]}, {"picture": "?"}, {"picture": ""}],
    ids=str,
)
def test_a_proof_that_is_none_is_refused_in_python_and_in_cpp(program, tiny, tmp_path, change):
    about = json.loads(tiny.with_suffix(".json").read_text())
    seal.write(tiny.with_suffix(".json"), {**about, "proof": {**about["proof"], **change}})
    with pytest.raises(DataError, match=r"part\.json: damaged"):
        anomaly.load(tiny)
    one_error(infer(program, "--model", tiny, "--input", tmp_path, "--json"), tiny.with_suffix(".json"))


@pytest.mark.parametrize("size", [(16, 16), (224, 224), (37, 400), (1024, 1024)], ids=str)
def test_the_picture_is_small_on_the_disk_and_the_same_every_time(size):
    about = proof.made(size, lambda images: (images.mean(axis=3), images.mean(axis=(1, 2, 3))))
    assert len(base64.b64decode(about["picture"])) < 40_000 and len(about["map"]) <= proof.MOST**2
    found = proof.parse(json.loads(json.dumps(about)), size)
    assert np.array_equal(found.picture, proof.drawn(size)) and np.ptp(found.map) > 50
    assert found.rows[0] == found.columns[0] == 0 and (found.rows[-1], found.columns[-1]) == (size[0] - 1, size[1] - 1)
    assert np.allclose(found.map, found.picture.mean(axis=2)[np.ix_(found.rows, found.columns)])


@pytest.fixture
def photograph(tmp_path):
    return write(tmp_path / "in" / "a.png", picture(48, 64))


def sealed(path, **changes):
    about = json.loads(path.with_suffix(".json").read_text())
    seal.write(path.with_suffix(".json"), {**about, **changes})
    return path


@pytest.mark.parametrize("batch", [1, 4, "dynamic"])
def test_the_cpp_program_compares_too(program, photograph, tmp_path, batch):
    model = export(tmp_path / "m.onnx", batch=batch)
    sealed(model, proof=proof.made(PLAIN.size, known))
    with_constant(model, "weights", lambda value: value * 1.001)
    done = judge(program, model, photograph, tmp_path / "out", "--self_check", "y")
    assert (done.returncode, done.stderr) == (0, "")
    with_constant(model, "weights", lambda value: value * 1.02)
    one_error(judge(program, model, photograph, tmp_path / "out"), model, "gives other numbers", "float32 allows 0.002")
    done = judge(program, model, photograph, tmp_path / "out", "--self_check", "n")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_says_that_there_is_no_proof_when_it_is_asked_for_one(program, photograph, tmp_path):
    model = export(tmp_path / "m.onnx")
    assert judge(program, model, photograph, tmp_path / "out").stderr == ""
    done = judge(program, model, photograph, tmp_path / "out", "--self_check", "y")
    assert done.returncode == 0
    assert done.stderr == f"note: {model} was exported before models had a proof; it is run without one\n"


def test_one_changed_digit_is_seen_in_python_and_in_cpp(program, photograph, tmp_path):
    """Wherever it is, also in the checksum itself. Without one, as an earlier version wrote it, nothing is compared."""
    model = tiny_model.write(tmp_path / "part.onnx")
    path = model.with_suffix(".json")
    whole = path.read_bytes()
    assert json.loads(whole)["checksum"] in whole.decode() and anomaly.load(model)
    assert judge(program, model, photograph, tmp_path / "out").returncode == 0
    digits = [place for place, sign in enumerate(whole) if chr(sign).isdigit()]
    for place in [digits[0], *digits[70 :: len(digits) // 12], digits[-1]]:
        changed = bytearray(whole)
        changed[place] = ord("7") if whole[place] != ord("7") else ord("4")
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"part\.json: "):
            anomaly.load(model)
        one_error(judge(program, model, photograph, tmp_path / "out"), path)
    path.write_bytes(whole)
    path.write_text(json.dumps({**unsealed(path), "proof": {}}))
    with pytest.raises(DataError, match="has lost its checksum"):
        anomaly.load(model)
    one_error(judge(program, model, photograph, tmp_path / "out"), path)
    path.write_bytes(whole)
    path.write_text(json.dumps(unsealed(path)))
    assert anomaly.load(model)
    assert judge(program, model, photograph, tmp_path / "out").returncode == 0


def test_a_new_threshold_brings_a_new_checksum_and_keeps_the_proof(tiny):
    about = description.read(tiny)
    description.keep(about, Choice(value=30.0))
    again = description.read(tiny)
    assert again.scales.image.threshold == 30.0 and again.content["proof"] == about.content["proof"]
    assert again.content["checksum"] != about.content["checksum"] and anomaly.load(tiny)


def test_a_threshold_that_does_not_follow_from_the_scores_is_refused(tmp_path):
    """Python works with the scores, the C++ program with the threshold: both have to say the same."""
    model = tiny_model.write(tmp_path / "part.onnx")
    path = model.with_suffix(".json")
    for change in ({"threshold": 21.0}, {"pixel_unit": 1.0}, {"good_scores": [9.0] * 60}):
        path.write_text(json.dumps({**unsealed(path), **change}))
        with pytest.raises(DataError, match="not the one that follows from its scores"):
            anomaly.load(model)
        description.keep(description.read(model), Choice(value=tiny_model.LIMIT))
        assert anomaly.load(model).scales == description.read(model).calibration.at(Choice(value=tiny_model.LIMIT))
    assert Calibration(np.ones(2), np.ones(2)).at(Choice()).known
