"""MindSpore Lite's converter and engine: what they refuse, and what they are told of a device."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import picture, write
from cpp import PLAIN, describe, export, infer, judge, one_error, pixels, table

from anomaly.data.transform import Transform
from anomaly.deploy import lite as settings

SOURCE = Path(__file__).resolve().parents[2] / "ascend310_infer"
OPENCV = "/usr/include/opencv4"


@pytest.fixture(scope="module")
def convert(program, lite) -> Path:
    return program.parent / "anomaly_convert"


@pytest.fixture(autouse=True)
def as_a_user_starts_it(monkeypatch):
    """The package has said how much MindSpore is to tell; the program decides that for itself."""
    monkeypatch.delenv("GLOG_v", raising=False)


@pytest.fixture
def model(tmp_path) -> Path:
    """Its map is the picture itself; it takes any number of pictures."""
    path = export(tmp_path / "known.onnx", batch="dynamic")
    settings.write(path)
    return path


def test_a_converted_model_has_its_own_description(convert, model, program, tmp_path):
    """One for any number of pictures then takes one."""
    assert infer(convert, "--model", model).returncode == 0
    target = tmp_path / "known_lite.mindir"
    before, about = (json.loads(path.with_suffix(".json").read_text()) for path in (model, target))
    assert about["input"].pop("batch_size") == 1 and before["input"].pop("batch_size") == "dynamic"
    assert about.pop("sha256").keys() == {"mindir"} and before.pop("sha256").keys() == {"onnx"}
    assert about == before
    names = [model.name, "known.json", "known.lite.cfg", target.name, "known_lite.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    images = {"a.png": picture(48, 64), "b.png": picture(48, 64, seed=1)}
    for name, image in images.items():
        write(tmp_path / "in" / name, image)
    done = judge(program, target, tmp_path / "in", tmp_path / "out", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert "MindSpore Lite, cpu" in done.stdout
    scores = {row["name"]: float(row["score"]) for row in table(tmp_path / "out")}
    assert scores == pytest.approx({name: image.mean() for name, image in images.items()}, rel=1e-5)
    for name, image in images.items():
        assert np.array_equal(pixels(tmp_path / "out" / f"{name}.bin", PLAIN), image[..., ::-1])


def test_what_cannot_be_converted_is_named(convert, model, tmp_path):
    def fails(*parts):
        one_error(infer(convert, "--model", model), *parts)
        assert not (tmp_path / "known_lite.json").exists()

    cfg, description = model.with_suffix(".lite.cfg"), model.with_suffix(".json")
    cfg.rename(tmp_path / "away.cfg")
    fails(cfg, "export the model again")
    (tmp_path / "away.cfg").rename(cfg)
    about = json.loads(description.read_text())
    description.write_text(json.dumps({**about, "precision": "int8"}))
    fails(model, "int8")
    description.write_text(json.dumps({**about, "sha256": {"onnx": "another"}}))
    fails(model, "sha256")
    for text in ("", "{}"):
        description.write_text(text)
        fails(description)
    description.unlink()
    fails(description)


def test_wrong_arguments_are_one_line(convert):
    wrong = {
        "--model is missing": (),
        "--model is a .onnx": ("--model", "x.mindir"),
        "--output is a .mindir": ("--model", "x.onnx", "--output", "x.ms"),
        "--device is cpu or ascend": ("--model", "x.onnx", "--device", "gpu"),
        "--device needs a value": ("--model", "x.onnx", "--device"),
        "unknown argument '--fast'": ("--fast", "yes"),
    }
    for reason, arguments in wrong.items():
        done = infer(convert, *arguments)
        assert done.returncode == 2 and done.stderr.startswith(f"error: {reason}"), done.stderr
        assert done.stderr.endswith("(--help shows the options)\n") and done.stderr.count("\n") == 1
    done = infer(convert, "--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: anomaly_convert")


def test_a_device_that_is_not_here_is_an_error(convert, model, program, tmp_path):
    quiet = {**os.environ, "GLOG_v": "4"}  # as convert_lite.sh sets it
    one_error(infer(convert, "--model", model, "--device", "ascend", env=quiet), model, "needs CANN")
    assert not list(tmp_path.glob(".convert*"))
    assert infer(convert, "--model", model.name, cwd=tmp_path).returncode == 0  # a bare name has no folder
    target = tmp_path / "known_lite.mindir"
    photograph = write(tmp_path / "a.png", picture(48, 64))
    for device in ((), ("--device", "ascend"), ("--device", "gpu")):  # and without any of Lite's own lines
        named = f"{target}: cannot be loaded on {device[-1] if device else 'ascend'} 0 ("
        done = judge(program, target, photograph, tmp_path / "out", *device)
        one_error(done, named, "MindSpore Lite finds no such device here", "--device cpu")
    wrong = judge(program, target, photograph, tmp_path / "out", "--device", "cpu", "--precision", "f16")
    one_error(wrong, target, "--precision f16", "Ascend")
    done = judge(program, target, photograph, tmp_path / "out", "--device", "cpu", "--batch", "4")
    one_error(done, "--batch 4", "takes 1 at once; export the .onnx with --batch_size 4 and convert that")
    target.write_bytes(target.read_bytes() + b"\n")
    one_error(judge(program, target, photograph, tmp_path / "out", "--device", "cpu"), target, "sha256")
    assert not (tmp_path / "out").exists()


def test_a_model_that_lite_cannot_compute_as_asked_is_one_line(convert, program, tmp_path):
    model = export(tmp_path / "known.onnx", precision="bfloat16")
    settings.write(model)
    assert infer(convert, "--model", model).returncode == 0
    target, photograph = tmp_path / "known_lite.mindir", write(tmp_path / "a.png", picture(48, 64))
    done = judge(program, target, photograph, tmp_path / "out", "--device", "cpu")
    assert done.returncode == 0 and done.stderr.startswith("note: no bfloat16 in MindSpore Lite: in float32")
    assert done.stderr.count("\n") == 1
    asked = judge(program, target, photograph, tmp_path / "out", "--device", "cpu", "--precision", "bf16")
    one_error(asked, target, "--precision bf16: MindSpore Lite computes in float32")
    describe(target, Transform((32, 32), None))
    one_error(judge(program, target, photograph, tmp_path / "out", "--device", "cpu"), "takes uint8 1x48x64x3, but")
    target.write_bytes(b"as MindSpore exports it")
    describe(target, PLAIN)
    one_error(
        judge(program, target, photograph, tmp_path / "out", "--device", "cpu"),
        "cannot be loaded on cpu (",
        "convert_lite.sh",
    )


DEVICES = """
#include "engine_lite.cc"
#include <iostream>
int main() {
  Settings settings;
  settings.device_id = 3;
  for (const char* precision : {"", "f32", "f16"}) {
    settings.device = "ascend";
    settings.precision = precision;
    const auto ascend = DeviceInfo(settings)->Cast<ms::AscendDeviceInfo>();
    std::cout << ascend->GetDeviceID() << " " << ascend->GetPrecisionMode() << "\\n";
  }
  settings.device = "cpu";
  std::cout << DeviceInfo(settings)->Cast<ms::CPUDeviceInfo>()->GetEnableFP16() << "\\n";
  try {
    settings.device = "gpu";
    DeviceInfo(settings);
  } catch (const Error& error) {
    std::cout << std::string(error.what()).substr(8, 6) << "\\n";
  }
}
"""


def test_ascend_is_told_to_compute_in_float32(lite, tmp_path):
    """With Lite's headers as newer versions have them, where nothing is called GPUDeviceInfo."""
    home = Path(lite["LITE_HOME"])
    shutil.copytree(home / "runtime" / "include", tmp_path / "include")
    header = tmp_path / "include" / "api" / "context.h"
    header.write_text(header.read_text().replace("GPUDeviceInfo", "AnotherInfo"))
    (tmp_path / "devices.cc").write_text(DEVICES)
    includes = [f"-I{folder}" for folder in (SOURCE, tmp_path, tmp_path / "include", OPENCV)]
    libraries = [str(home / "runtime" / "lib" / f"libmindspore{name}.so") for name in ("-lite", "_core")]
    sources = [tmp_path / "devices.cc", SOURCE / "outputs.cc"]
    link = ["-Wl,--disable-new-dtags", f"-Wl,-rpath,{home}/runtime/lib", "-lopencv_core"]
    command = ["g++", "-std=c++17", *includes, *sources, *libraries, *link, "-o", tmp_path / "devices"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([tmp_path / "devices"], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["3 enforce_fp32", "3 enforce_fp32", "3 enforce_fp16", "0", "no GPU"]
