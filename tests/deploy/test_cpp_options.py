"""The C++ program at work on several photographs at the same time, and what its options choose."""

import io
import json
import os
import subprocess

import cv2
import numpy as np
import pytest
from commands import picture, write
from cpp import PLAIN, THRESHOLD, describe, export, infer, judge, one_error, pixels, table
from PIL import Image

from anomaly.data.images import read_image
from anomaly.data.tiles import Tiles
from anomaly.data.transform import Transform


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Of any batch. Read only."""
    return export(tmp_path_factory.mktemp("model") / "known.onnx", batch="dynamic")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Large and small ones in turn, so that the later are done first, and one that cannot be read. Read only."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(12):
        side = 700 if number % 4 == 0 else 50
        write(folder / f"{number:02}.png", picture(side, side + 9, seed=number))
    (folder / "05b.png").write_bytes(b"nothing")
    return folder


def written(folder) -> dict:
    """All that depends on photographs and not on time."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "test_perform_static.txt"}
    assert len(found) == 12 * 2 + 1
    return found


def test_however_many_are_in_work_the_results_and_their_order_are_the_same(program, model, photographs, tmp_path):
    tiles = export(tmp_path / "tiles.onnx", Tiles((48, 64), overlap=0.25), batch=2)
    for path in (model, tiles):
        alone = judge(program, path, photographs, tmp_path / "alone", "--at_once", "1", "--threads", "1")
        expected = written(tmp_path / "alone")
        for more in (("--at_once", "5"), ("--threads", "3"), ("--batch", "5" if path == model else "2")):
            done = judge(program, path, photographs, tmp_path / "more", *more)
            one_error(done, "05b.png")
            assert written(tmp_path / "more") == expected
            lines = [line for line in done.stdout.splitlines() if ".png" in line]
            assert lines == [line for line in alone.stdout.splitlines() if ".png" in line] and len(lines) == 12


def test_one_object_of_json_for_each_photograph_and_nothing_else(program, model, photographs, tmp_path):
    done = judge(program, model, photographs, tmp_path / "out", "--json")
    one_error(done, "05b.png")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["path"] for each in found] == [str(path) for path in sorted(photographs.iterdir())]
    [bad] = [each for each in found if "error" in each]
    assert f"error: {bad['error']}\n" == done.stderr
    rows = table(tmp_path / "out")
    good = [each for each in found if "error" not in each]
    assert len(rows) == len(good) == 12 and {"NORMAL", "ANOMALOUS"} == {each["verdict"] for each in good}
    for row, each in zip(rows, good):
        assert [each[key] for key in ("verdict", "score", "normalised", "threshold", "regions")] == [
            row["verdict"],
            float(row["score"]),
            float(row["normalised"]),
            THRESHOLD,
            json.loads(row["regions"]),
        ]


def test_json_needs_no_output_and_writes_nothing(program, model, photographs, tmp_path):
    done = infer(program, "--model", model, "--input", photographs / "01.png", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["path"] == str(photographs / "01.png")
    assert not list(tmp_path.iterdir())


def test_names_and_missing_thresholds_are_json_too(program, tmp_path):
    bare = export(tmp_path / "m.onnx", threshold=None, pixel_threshold=None)
    name = 'a "quoted"\nname.png'
    path = write(tmp_path / "in" / name, picture(48, 64))
    done = infer(program, "--model", bare, "--input", path, "--json")
    found = json.loads(done.stdout)
    assert (found["path"], found["verdict"]) == (str(path), "UNKNOWN")
    assert found["normalised"] is None and found["threshold"] is None and found["regions"] == []


def test_standard_output_that_nobody_reads_ends_it(program, model, photographs):
    command = [program, "--model", model, "--input", photographs, "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(list(map(str, command)), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (
        done.returncode == 1
        and done.stderr.splitlines()[-1] == "error: standard output: cannot be written: No space left on device"
    )


@pytest.mark.parametrize(
    ("precision", "chosen", "reason"),
    [
        ("float32", "f32", ""),
        ("bfloat16", "f32", ""),
        ("int8", "int8", ""),
        ("int8", "f32", "the numbers of int8 alone"),
        ("float32", "bf16", "--precision bfloat16"),
        ("float32", "int8", "--precision int8"),
        ("bfloat16", "int8", "--precision int8"),
    ],
)
def test_a_precision_that_the_model_does_not_have_is_refused(program, photographs, tmp_path, precision, chosen, reason):
    path = export(tmp_path / "m.onnx", precision=precision)
    done = judge(program, path, photographs / "01.png", tmp_path / "out", "--precision", chosen)
    if reason:
        one_error(done, f"--precision {chosen}: {path}", reason)
    else:
        assert (done.returncode, done.stderr) == (0, "")


def test_a_batch_that_the_model_does_not_take_is_refused(program, photographs, tmp_path):
    path = export(tmp_path / "m.onnx", batch=4)
    one_error(judge(program, path, photographs, tmp_path / "out", "--batch", "3"), "--batch 3", "takes 4 at once")


def test_a_gpu_that_is_not_there_is_one_line(program, model, photographs, tmp_path):
    """No machine of the tests has one of Intel's."""
    done = judge(program, model, photographs, tmp_path / "out", "--device", "gpu", "--device_id", "7")
    one_error(done, model, "--device gpu --device_id 7", "finds no such Intel GPU here, only CPU")


def test_without_output_something_else_has_to_be_asked_for(program):
    done = infer(program, "--model", "m.onnx", "--input", "in")
    assert done.returncode == 2 and "--output is missing" in done.stderr
    for option in ("--threads", "--at_once", "--batch"):
        done = infer(program, "--model", "m.onnx", "--input", "in", "--json", option, "0")
        assert done.returncode == 2 and f"{option} takes a whole number from 1" in done.stderr


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_pngs_of_all_kinds_have_the_pixels_of_python(program, model, tmp_path):
    """Filters of rows are chosen by what they are good for: noise, ramps and drawings have them all."""
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    smooth = cv2.GaussianBlur(picture(48, 64), (0, 0), 3)
    drawn = {"noise": picture(48, 64), "ramp": cv2.merge([ramp, 2 * ramp, 3 * ramp]), "smooth": smooth}
    for name, pixel in drawn.items():
        whole = Image.fromarray(pixel)
        for mode in ("RGB", "L", "RGBA", "P", "LA"):
            for level in (0, 1, 9):
                content = encoded(whole.convert(mode), "PNG", compress_level=level)
                (tmp_path / "in").mkdir(exist_ok=True)
                (tmp_path / "in" / f"{name}{mode}{level}.png").write_bytes(content)
        for number in range(5):  # each filter alone
            settings = [cv2.IMWRITE_PNG_FILTER, 8 << number] if hasattr(cv2, "IMWRITE_PNG_FILTER") else []
            write(tmp_path / "in" / f"{name}{number}.png", pixel, *settings)
    done = judge(program, model, tmp_path / "in", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    for path in (tmp_path / "in").iterdir():
        assert np.array_equal(pixels(tmp_path / "out" / f"{path.name}.bin", PLAIN), read_image(path)), path.name


def test_pictures_are_made_smaller_as_by_opencv(program, tmp_path):
    """By any factor; the oracle is the OpenCV of Python, which may round one grey level otherwise."""
    transform = Transform((41, 37), None)
    path = export(tmp_path / "m.onnx", transform)
    shapes = [(41, 38), (42, 37), (82, 74), (83, 74), (100, 37), (123, 999), (777, 41)]
    for number, shape in enumerate(shapes):
        write(tmp_path / "in" / f"{number}.png", picture(*shape, seed=number))
    assert judge(program, path, tmp_path / "in", tmp_path / "out").returncode == 0
    for number in range(len(shapes)):
        photograph = tmp_path / "in" / f"{number}.png"
        found = pixels(tmp_path / "out" / f"{number}.png.bin", transform).astype(int)
        expected = cv2.resize(read_image(photograph), (37, 41), interpolation=cv2.INTER_AREA)
        assert np.abs(found - expected).max() <= 1 and (found != expected).mean() < 0.02


def test_a_description_with_another_batch_than_the_graph_is_refused(program, photographs, tmp_path):
    path = export(tmp_path / "m.onnx", batch=2)
    describe(path, PLAIN, batch="dynamic")
    one_error(judge(program, path, photographs, tmp_path / "out", "--batch", "3"), path, "[2,48,64,3]", "[3,48,64,3]")


@pytest.mark.parametrize(
    ("how", "code"),
    [("<&- >&- 2>&-", 0), ("| true; exit ${PIPESTATUS[0]}", 0), (">/dev/full", 1)],
    ids=["closed", "read by nobody", "full"],
)
def test_what_is_written_does_not_depend_on_who_reads(program, model, photographs, tmp_path, how, code):
    words = ("--model", model, "--input", photographs / "01.png", "--output", tmp_path / "out", "--warmup", "0")
    command = ["bash", "-c", f'"$@" {how}', "bash", str(program), *map(str, words)]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == code
    assert len(table(tmp_path / "out")) == 1


@pytest.mark.parametrize("name", ["results.csv", "test_perform_static.txt"])
def test_a_table_of_the_users_is_not_replaced(program, model, photographs, tmp_path, name):
    (tmp_path / name).write_text("mine")
    one_error(judge(program, model, photographs / "01.png", tmp_path), name, "was not written by this program")
    assert (tmp_path / name).read_text() == "mine"


def test_what_is_no_file_is_no_photograph(program, model, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "circle.png").symlink_to("circle.png")
    one_error(judge(program, model, folder / "pipe.png", tmp_path / "out"), "pipe.png: is no file")
    one_error(judge(program, model, folder, tmp_path / "out"), "holds no image")


def test_a_line_is_of_one_photograph_whatever_its_name(program, model, tmp_path):
    write(tmp_path / "in" / "a\nNORMAL     0.0001  b.png", picture(48, 64))
    done = judge(program, model, tmp_path / "in", tmp_path / "out")
    assert done.returncode == 0 and [line for line in done.stdout.splitlines() if ".png" in line] == [
        line for line in done.stdout.splitlines() if line.endswith('"a\\nNORMAL     0.0001  b.png"')
    ]
    assert done.stdout.count(".png") == 1


def test_little_memory_is_of_the_photograph_that_needs_more(program, model, photographs, tmp_path):
    folder = tmp_path / "in"
    write(folder / "small.png", picture(48, 64))
    write(folder / "large.png", np.zeros((12000, 12000, 3), np.uint8))
    limited = ["prlimit", f"--as={900 << 20}", str(program)]
    words = ("--model", model, "--input", folder, "--output", tmp_path / "out", "--warmup", "0", "--threads", "1")
    done = subprocess.run([*limited, *map(str, words)], capture_output=True, text=True, timeout=60)
    one_error(done, "large.png")
    assert [row["name"] for row in table(tmp_path / "out")] == ["small.png"]
