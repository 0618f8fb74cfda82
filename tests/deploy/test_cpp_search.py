"""The search that the C++ program puts in the place of PatchCore's distances, against all distances by numpy."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import write
from cpp import describe, judge, one_error, table

from anomaly.data.transform import Transform

TRANSFORM = Transform((64, 128), None)  # points of 16 pixels each
DIMENSIONS, ACROSS = 48, 16
POINTS = TRANSFORM.size[0] * TRANSFORM.size[1] // ACROSS
NEEDS = {"avx2": {"avx2", "fma"}, "avx512": {"avx512_vnni", "avx512dq", "avx512bw", "avx512vl"}}


def export(path: Path, rows: np.ndarray, mean: np.ndarray, *, chunks: int) -> Path:
    """What patchcore/src/model.py makes of pixels instead of features: the distances to the nearest rows as a map."""
    from onnx import TensorProto, helper, numpy_helper

    height, width = TRANSFORM.size
    constants = {"shape": np.array([1, POINTS, DIMENSIONS]), "mean": mean, "two": np.array([2], np.float32)}
    constants |= {"last": np.array([2]), "all": np.array([1])}
    constants |= {"places": np.array([1, height, width // ACROSS, 1]), "wide": np.array([1, 1, 1, ACROSS])}
    constants |= {"size": np.array([1, height, width])}
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["values", "shape"], ["some"]),
        helper.make_node("Sub", ["some", "mean"], ["points"]),
        helper.make_node("Mul", ["points", "points"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "last"], ["lengths"], keepdims=0),
    ]
    for i, chunk in enumerate(np.array_split(rows - mean, chunks)):
        constants |= {f"rows{i}": np.ascontiguousarray(chunk.T), f"half{i}": (chunk**2).sum(axis=1) / 2}
        nodes += [
            helper.make_node("MatMul", ["points", f"rows{i}"], [f"product{i}"]),
            helper.make_node("Sub", [f"product{i}", f"half{i}"], [f"less{i}"]),
            helper.make_node("ReduceMax", [f"less{i}", "last"], [f"most{i}"], keepdims=0),
        ]
        if i:
            nodes.append(helper.make_node("Max", [f"top{i - 1}" if i > 1 else "most0", f"most{i}"], [f"top{i}"]))
    nodes += [
        helper.make_node("Mul", [f"top{chunks - 1}" if chunks > 1 else "most0", "two"], ["twice"]),
        helper.make_node("Sub", ["lengths", "twice"], ["squared"]),
        helper.make_node("Abs", ["squared"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["distances"]),
        helper.make_node("Reshape", ["distances", "places"], ["grid"]),
        helper.make_node("Tile", ["grid", "wide"], ["wider"]),
        helper.make_node("Reshape", ["wider", "size"], ["map"]),
        helper.make_node("ReduceMax", ["distances", "all"], ["score"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "known",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, height, width, 3])],
        [
            helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, height, width]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, [1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    describe(path, TRANSFORM)
    return path


def kinds() -> list:
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return [kind for kind, needed in NEEDS.items() if needed <= flags]


def alone(program: Path, folder: Path, kind: str) -> Path:
    """The program in a folder of its own, with the library of one kind of processor, or with none."""
    folder.mkdir(parents=True)
    shutil.copy(program, folder)
    for name in kinds() if kind else []:  # whichever it looks for
        shutil.copy(program.parent / f"libanomaly_search_{kind}.so", folder / f"libanomaly_search_{name}.so")
    return folder / program.name


def points(photograph: np.ndarray) -> np.ndarray:
    return photograph[..., ::-1].reshape(POINTS, DIMENSIONS).astype(np.float32)


RNG = np.random.default_rng(0)
FLAT = np.full((*TRANSFORM.size, 3), 100, np.uint8)
NOISE = RNG.integers(0, 256, FLAT.shape, np.uint8)
WAVES = (128 + 100 * np.sin(np.arange(FLAT.size).reshape(FLAT.shape) / 777)).astype(np.uint8)
ALMOST = (WAVES + RNG.integers(0, 3, FLAT.shape)).astype(np.uint8)
PICTURES = {"flat": FLAT, "noise": NOISE, "waves": WAVES, "almost": ALMOST}
ROWS = points(WAVES)[RNG.permutation(POINTS)]
BANKS = {
    "waves": ROWS,
    "more than one product": np.concatenate([ROWS, ROWS + 3, ROWS - 3])[:1491],
    "all alike": np.repeat(ROWS[:1], 600, axis=0),
    "in few directions": ROWS[:2].mean(axis=0) + RNG.normal(size=(700, 2)) @ RNG.normal(size=(2, DIMENSIONS)),
    "noise": points(NOISE) + RNG.normal(size=(POINTS, DIMENSIONS)),
}


@pytest.mark.parametrize("kind", ["", *kinds()])
@pytest.mark.parametrize("bank", BANKS)
def test_the_distances_are_those_to_the_nearest_of_all_rows(program, tmp_path, kind, bank):
    rows = BANKS[bank].astype(np.float32)
    model = export(tmp_path / "m.onnx", rows, rows.mean(axis=0), chunks=-(-len(rows) // 500))
    for name, picture in PICTURES.items():
        write(tmp_path / "in" / f"{name}.png", picture)
    done = judge(alone(program, tmp_path / "program", kind), model, tmp_path / "in", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (", own search" in (tmp_path / "out" / "test_perform_static.txt").read_text()) == bool(kind)
    scores = {row["name"].removesuffix(".png"): float(row["score"]) for row in table(tmp_path / "out")}
    for name, picture in PICTURES.items():
        apart = points(picture).astype(float)[:, None] - rows.astype(float)
        nearest = np.sqrt((apart**2).sum(axis=2).min(axis=1))
        found = np.fromfile(tmp_path / "out" / f"{name}.png.bin", np.float32).reshape(POINTS, ACROSS)[:, 0]
        # The model's own way takes a small number from a large one.
        rounding = (
            1e-4 * nearest.max() if kind else 1e-3 * np.linalg.norm(points(picture) - rows.mean(axis=0), axis=1).max()
        )
        assert np.abs(found - nearest).max() <= rounding + 1e-4, name
        assert scores[name] == pytest.approx(nearest.max(), rel=1e-4, abs=rounding + 1e-4)


def test_there_is_a_library_for_this_processor(program):
    """Otherwise the tests above would compare nothing."""
    assert kinds()


@pytest.mark.parametrize("kind", ["", *kinds()])
def test_what_is_no_number_is_not_called_normal(program, tmp_path, kind):
    mean = np.full(DIMENSIONS, np.nan, np.float32)
    model = export(tmp_path / "m.onnx", ROWS, mean, chunks=2)
    write(tmp_path / "in" / "a.png", WAVES)
    done = judge(alone(program, tmp_path / "program", kind), model, tmp_path / "in", tmp_path / "out")
    one_error(done, "a.png", "no numbers")


def test_few_rows_are_left_to_the_model(program, tmp_path):
    rows = ROWS[:100]
    model = export(tmp_path / "m.onnx", rows, rows.mean(axis=0), chunks=1)
    write(tmp_path / "in" / "a.png", WAVES)
    assert judge(program, model, tmp_path / "in", tmp_path / "out").returncode == 0
    assert "own search" not in (tmp_path / "out" / "test_perform_static.txt").read_text()


def test_its_libraries_are_found_by_where_it_lies_and_not_by_how_it_is_called(program, tmp_path):
    model = export(tmp_path / "m.onnx", ROWS, ROWS.mean(axis=0), chunks=2)
    write(tmp_path / "in" / "a.png", WAVES)
    for name in kinds():  # what lies in the current folder is not looked at
        (tmp_path / f"libanomaly_search_{name}.so").write_text("no library")
    (tmp_path / program.name).touch()
    places = ("--model", model, "--input", tmp_path / "in", "--output", tmp_path / "out")
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run([program.name, *places], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ", own search" in (tmp_path / "out" / "test_perform_static.txt").read_text()
