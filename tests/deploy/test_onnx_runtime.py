"""ONNX Runtime in the C++ program, and NVIDIA's GPUs through it: what is refused without one, in C++ and in Python."""

import os
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tiny_model
from commands import picture, write
from cpp import PLAIN, describe, export, infer, judge, one_error, pixels, table
from shell import ROOT

import anomaly
from anomaly.deploy import exported
from anomaly.engines import onnx_runtime
from anomaly.engines.choice import BFLOAT16, INT8, choose_for_onnx
from anomaly.run.errors import DataError, UsageError

ENGINE = ("--engine", "onnxruntime")
LIBRARY = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))


@pytest.fixture(scope="module", autouse=True)
def no_gpu():
    if onnx_runtime.CUDA in onnxruntime.get_available_providers():
        pytest.skip("there is a GPU")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Of any batch. Read only."""
    return export(tmp_path_factory.mktemp("model") / "known.onnx", batch="dynamic", normalised=True)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("photographs")
    images = {f"{number}.png": picture(48, 64, seed=number) for number in range(5)}
    return {write(folder / name, image): image[..., ::-1] for name, image in images.items()}


@pytest.mark.parametrize("more", [(), ("--batch", "3"), ("--at_once", "4", "--threads", "4")], ids=str)
def test_each_pixel_goes_through_it(program, model, photographs, tmp_path, more):
    done = judge(program, model, next(iter(photographs)).parent, tmp_path / "out", *ENGINE, *more)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"ONNX Runtime {onnxruntime.__version__}, cpu" in done.stdout
    for path, image in photographs.items():
        assert np.array_equal(pixels(tmp_path / "out" / f"{path.name}.bin", PLAIN), image)
    scores = {row["name"]: float(row["score"]) for row in table(tmp_path / "out")}
    assert scores == pytest.approx({path.name: image.mean() for path, image in photographs.items()}, rel=1e-6)


@pytest.mark.parametrize("changes", [{"column": True}, {"score_first": True}])
def test_outputs_are_known_by_their_shape(program, photographs, tmp_path, changes):
    path = next(iter(photographs))
    done = judge(program, export(tmp_path / "m.onnx", **changes), path, tmp_path / "out", *ENGINE)
    assert (done.returncode, done.stderr) == (0, "")
    assert np.array_equal(pixels(tmp_path / "out" / f"{path.name}.bin", PLAIN), photographs[path])


def test_a_model_that_does_not_fit_is_one_line(program, photographs, tmp_path):
    [path, *_], out = photographs, tmp_path / "out"
    model = export(tmp_path / "m.onnx", batch=2)
    describe(model, PLAIN, batch="dynamic")
    one_error(
        judge(program, model, path, out, *ENGINE, "--batch", "3"), model, "takes uint8 2x48x64x3", "uint8 3x48x64x3"
    )
    model.write_bytes(b"nonsense")
    describe(model, PLAIN)
    one_error(judge(program, model, path, out, *ENGINE), model, "cannot be loaded (")


def test_bfloat16_is_float32_there_and_that_is_said(program, photographs, tmp_path):
    [path, *_], model = photographs, export(tmp_path / "m.onnx", precision="bfloat16")
    done = judge(program, model, path, tmp_path / "out", *ENGINE)
    assert done.returncode == 0 and done.stderr.startswith("note: no bfloat16") and done.stderr.count("\n") == 1
    one_error(judge(program, model, path, tmp_path / "out", *ENGINE, "--precision", "bf16"), model, "--precision bf16")


def test_without_a_gpu_nothing_is_judged(program, model, photographs, tmp_path):
    """With the package for processors: it says itself what it was built without."""
    [path, *_], out = photographs, tmp_path / "out"
    reasons = {"onnxruntime": "CUDA execution provider is not", "tensorrt": "TensorRT execution provider is not"}
    for engine, reason in reasons.items():
        done = judge(program, model, path, out, "--engine", engine, "--device", "gpu", "--device_id", "3")
        one_error(done, f"{model}: --device gpu --device_id 3", reason, "docs/devices.md")
    one_error(judge(program, model, path, out, "--engine", "tensorrt"), "--device gpu --device_id 0")
    assert not out.exists()


def test_an_engine_that_does_not_go_with_the_rest_is_one_line(program, model, photographs, tmp_path):
    def refused(*arguments, of=model):
        return judge(program, of, next(iter(photographs)), tmp_path / "out", *arguments)

    one_error(refused("--engine", "lite"), "--engine lite: does not run", model)
    one_error(refused("--engine", "tensorrt", "--device", "cpu"), "--engine tensorrt", "--device cpu")
    one_error(refused(*ENGINE, "--precision", "f16"), "--precision f16", "TensorRT")
    one_error(refused("--device_id", "7"), "--device_id 7: is for gpu and ascend")
    one_error(refused(*ENGINE, "--engine_cache", tmp_path / "kept"), "--engine_cache", "is for --engine tensorrt")
    done = infer(program, "--model", model, "--input", "in", "--json", "--engine", "torch")
    assert done.returncode == 2
    assert "--engine is auto, openvino, onnxruntime, tensorrt or lite, not 'torch'" in done.stderr
    one_error(
        refused("--engine", "tensorrt", of=export(tmp_path / "8.onnx", precision="int8")), "--engine tensorrt", "int8"
    )
    mindir = tmp_path / "m.mindir"
    mindir.write_bytes(b"nonsense")
    describe(mindir, PLAIN)
    one_error(refused(*ENGINE, of=mindir), "--engine onnxruntime: does not run", mindir)


OLD = """
static const char* version() { return "1.16.3"; }
static struct { const void* table; const char* (*version)(); } base = {nullptr, version};
extern "C" const void* OrtGetApiBase() { return &base; }
"""


def test_the_library_can_be_named_and_has_to_be_new_enough(program, model, photographs, tmp_path):
    def named(library):
        environment = {**os.environ, "ONNXRUNTIME_LIBRARY": str(library)}
        return judge(program, model, next(iter(photographs)), tmp_path / "out", *ENGINE, env=environment)

    assert named(LIBRARY).returncode == 0
    one_error(named(tmp_path / "none.so"), "none.so: cannot open", "ONNXRUNTIME_LIBRARY", "pip install")
    (tmp_path / "old.cc").write_text(OLD)
    subprocess.run(["g++", "-shared", "-fPIC", "-o", tmp_path / "old.so", tmp_path / "old.cc"], check=True)
    one_error(named(tmp_path / "old.so"), "ONNX Runtime 1.16.3", "too old: 1.24 or newer")


@pytest.fixture
def tiny(tmp_path) -> Path:
    return tiny_model.write(tmp_path / "part.onnx")


@pytest.mark.parametrize("chosen", [{"device_target": "GPU"}, {"engine": "tensorrt"}], ids=str)
def test_python_says_what_to_install(tiny, chosen):
    with pytest.raises(DataError, match=r"has no \w+ExecutionProvider; pip install -r requirements-gpu-onnx.txt"):
        anomaly.load(tiny, **chosen)


@pytest.mark.parametrize("chosen", [{"device_target": "GPU"}, {"engine": "tensorrt"}], ids=str)
def test_what_onnx_runtime_leaves_out_without_a_word_is_an_error(tiny, chosen, monkeypatch):
    """As where the package has a part for GPUs that cannot be used: it would compute on the processor."""
    present = [onnx_runtime.TENSORRT, onnx_runtime.CUDA, onnx_runtime.PROCESSOR]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: present)
    monkeypatch.setattr(onnx_runtime, "_preload", lambda *_, **__: None)  # all libraries are there
    asked = "--engine tensorrt" if "engine" in chosen else "--device_target GPU"
    said = rf"^{asked}: .* runs nothing here"
    with pytest.warns(UserWarning), pytest.raises(DataError, match=said):
        anomaly.load(tiny, **chosen)


def test_a_driver_that_is_not_there_is_named(tiny, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [onnx_runtime.CUDA])
    with pytest.raises(DataError, match=r"^--device_target GPU: libcuda.so.1: cannot open .* NVIDIA's driver$"):
        anomaly.load(tiny, device_target="GPU")


def test_python_takes_the_engine_that_is_asked_for(tiny):
    found = {engine: anomaly.load(tiny, engine=engine).runs_on for engine in ("auto", "onnxruntime", "openvino")}
    assert found == {
        "auto": "ONNX Runtime (CPU)",
        "onnxruntime": "ONNX Runtime (CPU)",
        "openvino": "OpenVINO (CPU, float32)",
    }
    for engine, target in (("mindspore", ""), ("tensorrt", "CPU"), ("openvino", "GPU")):
        with pytest.raises(UsageError, match=f"--engine {engine}"):
            exported.load(tiny, target, engine=engine)
    with pytest.raises(UsageError, match="--engine tensorrt: does not take models in int8"):
        choose_for_onnx("tensorrt", INT8, target="GPU")


def test_bfloat16_is_float32_in_python_too_and_that_is_said(caplog):
    with caplog.at_level("INFO", logger="anomaly"):
        assert choose_for_onnx("onnxruntime", BFLOAT16, target="CPU").engine == "onnxruntime"
    assert "computing in float32" in caplog.text


def test_the_environment_for_gpus_has_the_versions_that_are_tested():
    """And no package of CUDA 11, which lies in the same folders."""
    pins = {}
    for name in ("", "-gpu", "-gpu-onnx"):
        lines = (ROOT / f"requirements{name}.txt").read_text(encoding="utf-8").splitlines()
        pins[name] = dict(line.split("==") for line in lines if not line.startswith("#"))
    own = pins["-gpu-onnx"]
    assert own["onnxruntime-gpu"] == pins[""]["onnxruntime"] and "onnxruntime" not in own
    assert {name: version for name, version in own.items() if name in pins[""]}.items() <= pins[""].items()
    assert "nvidia-cudnn-cu13" in own and not own.keys() & pins["-gpu"].keys()
