"""What does not fit a file goes into it in float16, or beside it, or is refused with its size."""

import numpy as np
import pytest
import tiny_model
from commands import CPU, RANDOM, run

from anomaly.data.layouts import load_category
from anomaly.data.loader import batches
from anomaly.deploy import description, exported, model_file, placing
from anomaly.run import files
from anomaly.run.errors import DataError
from padim import export, train


@pytest.fixture(scope="module")
def output(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("padim")
    options = ("--backbone", "resnet18", "--resize", "64", "--crop", "none", "--embedding_dim", "50", *RANDOM, *CPU)
    result = run(train.main, "--dataset_path", toy, "--category", "gear", "--output_dir", folder, *options)
    assert result.code == 0, result.err
    return folder


def write(output, path, file_format="ONNX"):
    base = ("--category", "gear", "--output_dir", output, "--file_name", path, "--file_format", file_format, *CPU)
    return run(export.main, *base)


def scores(path, toy):
    model = exported.load(path)
    images = next(batches(load_category(toy, "gear").test, model.transform, batch_size=6, workers=2)).images
    return model.score(images)[1]


def test_what_a_protobuf_does_not_hold_goes_in_as_float16_or_not_at_all(output, toy, tmp_path, monkeypatch):
    whole = tmp_path / "whole.onnx"
    assert write(output, whole).code == 0
    size = whole.stat().st_size
    state = 256 * 5 * 50 * 4  # the factors of 6 images
    monkeypatch.setattr(model_file, "LIMIT", size - state // 4)
    half = tmp_path / "half.onnx"
    result = write(output, half)
    assert result.code == 0 and "float16" in result.out
    assert size - half.stat().st_size == pytest.approx(state / 2, rel=0.1)
    np.testing.assert_allclose(scores(half, toy), scores(whole, toy), rtol=1e-3)
    monkeypatch.setattr(model_file, "LIMIT", size - state)
    result = write(output, tmp_path / "none.onnx")
    assert result.code == 1 and "GB" in result.err and "--embedding_dim" in result.err and len(result.errors) == 1
    assert not (tmp_path / "none.onnx").exists()


def test_a_mindir_that_is_too_large_keeps_its_numbers_beside_it(output, toy, tmp_path, monkeypatch):
    import mindspore.train.serialization as serialization

    monkeypatch.setattr(serialization, "TOTAL_SAVE", 1)  # KB of parameters, above which MindSpore writes two parts
    result = write(output, tmp_path / "large.mindir", "MINDIR")
    assert result.code == 0, result.err
    graph = tmp_path / "large_graph.mindir"
    assert str(graph) in result.out and (tmp_path / "large_variables").is_dir()
    monkeypatch.undo()
    assert write(output, tmp_path / "whole.mindir", "MINDIR").code == 0
    np.testing.assert_allclose(scores(graph, toy), scores(tmp_path / "whole.mindir", toy), rtol=1e-5)


@pytest.mark.parametrize("name", ["own.json", "own.onnx"])
def test_a_file_of_the_user_is_not_replaced_by_an_export(tmp_path, name):
    (tmp_path / name).write_text("[1]" if name.endswith("json") else "a model of mine")
    before = (tmp_path / name).read_bytes()
    with pytest.raises(DataError, match="not written by this program"):
        placing.require_place(tmp_path / "own.onnx")
    assert (tmp_path / name).read_bytes() == before
    placing.require_place(tmp_path / "new.onnx")


def test_what_an_export_that_was_killed_leaves_is_refused_and_replaced(tmp_path):
    model, made = tiny_model.write(tmp_path / "own.onnx"), tmp_path / "new"
    made.write_bytes(b"the new model")
    description.write(model, {**files.read_json(description.beside(model)), "remark": "new"}, made=made)
    placing.require_place(model)  # killed before the new one has taken the place
    with pytest.raises(DataError, match="is not the model"):
        exported.load(model)
    made.rename(model)
    placing.require_place(model)  # killed after it
    model.write_bytes(b"a model of mine")
    with pytest.raises(DataError, match="not written by this program"):
        placing.require_place(model)
