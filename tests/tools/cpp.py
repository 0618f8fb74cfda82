"""The C++ program as a user starts it, and a model for it whose map and score are known functions of the image."""

import csv
import fcntl
import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from anomaly.data.transform import Transform
from anomaly.deploy.description import FORMAT_VERSION, PLAIN_VERSION, views

THRESHOLD, UNIT = 128.0, 16.0
WEIGHTS = np.array([65536, 256, 1], np.float32)  # the map of the model holds every pixel exactly
PIXEL_THRESHOLD, PIXEL_UNIT = 128.0 * 65536, 32.0 * 65536
PLAIN = Transform((48, 64), None)


def export(
    path: Path,
    transform: Transform = PLAIN,
    batch=1,
    score_first=False,
    column=False,
    normalised=False,
    zero=False,
    **changes,
):
    """A model that gives the pixels as map and their mean as score, with its description, as the exporter does.

    zero: everything is divided by 0."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    height, width = transform.size
    rows = "N" if batch == "dynamic" else batch
    constants = {
        "weights": WEIGHTS / np.float32(0 if zero else 1),
        "channels": np.array([3], np.int64),
        "all": np.array([1, 2, 3], np.int64),
        "last": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["values", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "channels"], ["map"], keepdims=0),
        helper.make_node("ReduceMean", ["values", "all"], ["mean" if column else "score"], keepdims=0),
    ]
    if column:
        nodes.append(helper.make_node("Unsqueeze", ["mean", "last"], ["score"]))
    if normalised:
        nodes.append(helper.make_node("Neg", ["score"], ["normalised"]))
    outputs = [
        helper.make_tensor_value_info("map", TensorProto.FLOAT, [rows, height, width]),
        helper.make_tensor_value_info("score", TensorProto.FLOAT, [rows, 1] if column else [rows]),
    ]
    if normalised:
        outputs.append(helper.make_tensor_value_info("normalised", TensorProto.FLOAT, [rows]))
    graph = helper.make_graph(
        nodes,
        "known",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [rows, height, width, 3])],
        outputs[::-1] if score_first else outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    describe(path, transform, batch, **changes)
    return path


def describe(path: Path, transform: Transform, batch=1, **changes):
    info = {
        "format_version": FORMAT_VERSION if views(transform) else PLAIN_VERSION,
        "method": "patchcore",
        "category": "bottle",
        "backbone": "resnet18",
        "random_backbone": False,
        "input": {
            "name": "image",
            "type": "uint8",
            "layout": "NHWC",
            "colour": "RGB",
            "resize": list(transform.resize),
            "crop": list(transform.crop) if transform.crop else None,
            "size": list(transform.size),
            **views(transform),
            "batch_size": batch,
        },
        "remark": "",
        "false_alarm_rate": 0.01,
        "good_scores": [],
        "good_peaks": [],
        "outputs": {"map": {"shape": list(transform.size)}, "score": {}},
        "threshold": THRESHOLD,
        "unit": UNIT,
        "pixel_threshold": PIXEL_THRESHOLD,
        "pixel_unit": PIXEL_UNIT,
        "sha256": {path.suffix[1:]: hashlib.sha256(path.read_bytes()).hexdigest()},
        "versions": {"mindspore": "2.10.0"},
    }
    path.with_suffix(".json").write_text(json.dumps({**info, **changes}))


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """The processes of a run share the folder that the program is built in: one at a time builds."""
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def infer(program: Path, *arguments, **options) -> subprocess.CompletedProcess:
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def judge(program, model, source, output, *more, **options):
    return infer(program, "--model", model, "--input", source, "--output", output, "--warmup", "1", *more, **options)


def pixels(path: Path, transform: Transform) -> np.ndarray:
    """What the model was given, from the map that it gave."""
    values = np.fromfile(path, np.float32).reshape(transform.size).astype(np.int64)
    return np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1).astype(np.uint8)


def table(output: Path) -> list:
    with open(output / "results.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def one_error(done, *parts):
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for part in parts:
        assert str(part) in lines[0]
