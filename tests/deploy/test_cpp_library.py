"""The C++ program as a library in C: installed, found by another project, called from C and from Python."""

import ctypes
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import picture, write
from cpp import PIXEL_THRESHOLD, PLAIN, THRESHOLD, export, judge, table

from anomaly.data import roi
from anomaly.data.images import read_image
from anomaly.data.tiles import Tiles
from anomaly.data.transform import Transform

EXAMPLES = Path(__file__).resolve().parents[2] / "ascend310_infer" / "examples"
sys.path.insert(0, str(EXAMPLES))

import judge as example  # noqa: E402


def ran(*command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def installed(program, tmp_path_factory) -> Path:
    prefix = tmp_path_factory.mktemp("prefix")
    ran("cmake", "--install", program.parent, "--prefix", prefix)
    return prefix


@pytest.fixture(scope="module")
def path(installed) -> Path:
    [found] = installed.rglob("libanomaly.so")
    return found


@pytest.fixture(scope="module")
def library(path) -> ctypes.CDLL:
    library = example.open_library(str(path))
    library.anomaly_judge_pixels.restype = ctypes.POINTER(example.Result)
    library.anomaly_judge_pixels.argtypes = ctypes.c_void_p, ctypes.c_char_p, *[ctypes.c_int] * 2, ctypes.c_size_t
    library.anomaly_runs_on.argtypes = (ctypes.c_void_p,)
    library.anomaly_runs_on.restype = ctypes.c_char_p
    library.anomaly_load.argtypes = ctypes.c_char_p, ctypes.c_void_p
    return library


class Options(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("device", ctypes.c_char_p),
        ("device_id", ctypes.c_int),
        ("precision", ctypes.c_char_p),
        ("threads", ctypes.c_int),
        ("at_once", ctypes.c_int),
        ("roi", ctypes.c_char_p),
        ("engine", ctypes.c_char_p),
    )


def options(**chosen) -> Options:
    return Options(**{"size": ctypes.sizeof(Options), **chosen})


def loaded(library, model: Path, **chosen) -> int:
    found = library.anomaly_load(str(model).encode(), ctypes.byref(options(**chosen)))
    assert found, library.anomaly_message()
    return found


def values_of(result) -> np.ndarray:
    found = result.contents
    return np.ctypeslib.as_array(found.map, (found.map_height, found.map_width)).copy()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list:
    """From dark to bright, with a spot."""
    folder = tmp_path_factory.mktemp("photographs")
    image = np.zeros((96, 128, 3), np.uint8)
    image[20:30, 40:60] = 250
    return [write(folder / f"{grey}.png", cv2.add(image, grey)) for grey in range(0, 250, 25)]


def test_a_project_finds_the_package_and_its_program_says_what_the_other_program_says(
    program, installed, path, photographs, tmp_path
):
    model = export(tmp_path / "m.onnx")
    ran("cmake", "-S", EXAMPLES, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    ran("cmake", "--build", tmp_path / "build")
    assert judge(program, model, photographs[0].parent, tmp_path / "out").returncode == 0
    rows = {row["name"]: row for row in table(tmp_path / "out")}
    in_c = ran(tmp_path / "build" / "judge", model, *photographs).stdout
    verdicts = [line.split() for line in in_c.splitlines() if not line.startswith(" ")]
    assert len(verdicts) == len(photographs)
    for verdict, score, name in verdicts:
        row = rows[Path(name).name]
        assert (verdict, f"{float(row['score']):.4f}") == (row["verdict"], score)
    assert {verdict for verdict, _, _ in verdicts} == {"NORMAL", "ANOMALOUS"} and " pixels at " in in_c
    assert ran(sys.executable, EXAMPLES / "judge.py", path, model, *photographs).stdout == in_c
    assert {lib.name for lib in program.parent.glob("*_search_*.so")} <= {lib.name for lib in path.parent.iterdir()}
    bad = subprocess.run([tmp_path / "build" / "judge", model, "nothing.png"], capture_output=True, text=True)
    assert bad.returncode == 1 and bad.stderr.startswith("error: nothing.png: cannot be read")


def test_a_header_of_another_version_is_not_found(installed, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "project")
    text = (tmp_path / "project" / "CMakeLists.txt").read_text()
    (tmp_path / "project" / "CMakeLists.txt").write_text(text.replace("anomaly 1", "anomaly 2"))
    command = ["cmake", "-S", tmp_path / "project", "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={installed}"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode != 0 and 'compatible with requested version "2"' in done.stderr


def test_pixels_of_any_stride_are_judged_as_the_file_is(library, photographs, tmp_path):
    """The map of the model is the picture itself."""
    model = loaded(library, export(tmp_path / "m.onnx", Transform((96, 128), None)))
    image = read_image(photographs[3])
    wide = np.pad(image, ((0, 0), (0, 5), (0, 0)))
    of_file = library.anomaly_judge_file(model, str(photographs[3]).encode())
    for given, stride in ((image, 0), (image, 3 * 128), (wide, 3 * 133)):
        found = library.anomaly_judge_pixels(model, given.tobytes(), 96, 128, stride)
        assert found.contents.score == of_file.contents.score == pytest.approx(image.mean(), rel=1e-5)
        assert np.array_equal(values_of(found), values_of(of_file))
        assert np.array_equal(values_of(found), image @ np.array([65536.0, 256.0, 1.0]))
        library.anomaly_free_result(found)
    assert of_file.contents.threshold == THRESHOLD and example.TEXTS[of_file.contents.verdict] == "NORMAL"
    library.anomaly_free(model)
    assert values_of(of_file).shape == (96, 128)  # a result outlives its model
    library.anomaly_free_result(of_file)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("transform", [PLAIN, Tiles((48, 64), overlap=0.25)], ids=["whole", "tiles"])
def test_several_threads_may_use_one_model(library, photographs, tmp_path, at_once, transform):
    model = loaded(library, export(tmp_path / "m.onnx", transform), at_once=at_once, threads=2)

    def score(path: Path) -> tuple:
        found = library.anomaly_judge_file(model, str(path).encode())
        kept = found.contents.score, values_of(found).tobytes(), found.contents.region_count
        library.anomaly_free_result(found)
        return kept

    expected = [score(path) for path in photographs]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(score, photographs * 10)) == expected * 10
    library.anomaly_free(model)


def test_what_fails_says_why_and_does_not_end_the_program(library, photographs, tmp_path):
    def refused(model: Path, **chosen) -> str:
        assert not library.anomaly_load(str(model).encode(), ctypes.byref(options(**chosen)))
        return library.anomaly_message().decode()

    known = export(tmp_path / "m.onnx")
    assert refused(tmp_path / "none.onnx") == f"{tmp_path / 'none.onnx'}: no such file"
    assert "there is no device 'tpu'" in refused(known, device=b"tpu")
    assert "there is no precision 'f8'" in refused(known, precision=b"f8")
    assert "there is no engine 'torch'" in refused(known, engine=b"torch")
    for name, value in (("threads", -1), ("threads", 1025), ("at_once", 100000)):
        assert f"whole numbers from 0 to 1024, not {value}" in refused(known, **{name: value})
    assert "device_id is a whole number from 0" in refused(known, device_id=-1)
    assert "leave --roi out" in refused(known, roi=str(tmp_path).encode())
    assert "sizeof(anomaly_options)" in refused(known, size=8)
    model = loaded(library, known)
    assert library.anomaly_message() == b""
    assert library.anomaly_runs_on(model).startswith(b"OpenVINO, cpu")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    assert not library.anomaly_judge_file(model, str(tmp_path / "bad.jpg").encode())
    assert library.anomaly_message().decode().startswith(f"{tmp_path / 'bad.jpg'}: ")
    assert not library.anomaly_judge_pixels(model, b"123", 1, 1, 2)
    assert b"stride" in library.anomaly_message()
    with ThreadPoolExecutor(1) as pool:  # a message is of its own thread
        assert pool.submit(library.anomaly_message).result() == b""
    found = library.anomaly_judge_file(model, str(photographs[0]).encode())
    assert found and library.anomaly_message() == b""
    library.anomaly_free_result(found)
    library.anomaly_free(model)
    library.anomaly_free(None)
    library.anomaly_free_result(None)


def test_an_engine_can_be_chosen_and_programs_that_know_of_none_go_on(library, photographs, tmp_path):
    known, found = export(tmp_path / "m.onnx"), {}
    for size in (ctypes.sizeof(Options), Options.engine.offset):
        model = loaded(library, known, engine=b"onnxruntime", size=size)
        result = library.anomaly_judge_file(model, str(photographs[0]).encode())
        found[library.anomaly_runs_on(model).decode().split(",")[0]] = values_of(result)
        library.anomaly_free_result(result)
        library.anomaly_free(model)
    runtime, openvino = found
    assert runtime.startswith("ONNX Runtime") and openvino == "OpenVINO"
    assert np.array_equal(*found.values())


def test_masks_of_photographs_are_found_by_their_names(library, photographs, tmp_path):
    for path in photographs:
        write(tmp_path / "masks" / path.name, np.pad(np.full((96, 64), 255, np.uint8), ((0, 0), (0, 64))))
    view = Transform((48, 64), None, region=f"{roi.FOLDER}{tmp_path / 'masks'}")
    model = loaded(library, export(tmp_path / "m.onnx", view))
    found = library.anomaly_judge_file(model, str(photographs[0]).encode())
    values = values_of(found)
    assert (values[:, 33:] == values.min()).all() and values.max() > PIXEL_THRESHOLD
    library.anomaly_free_result(found)
    assert not library.anomaly_judge_pixels(model, picture(9, 9).tobytes(), 9, 9, 0)
    assert b"region for each photograph" in library.anomaly_message()
    library.anomaly_free(model)
