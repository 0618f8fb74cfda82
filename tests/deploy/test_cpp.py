"""The C++ program in ascend310_infer, on a model whose map and score are known functions of the image."""

import io
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import picture, write
from cpp import (
    PIXEL_THRESHOLD,
    PIXEL_UNIT,
    PLAIN,
    THRESHOLD,
    UNIT,
    describe,
    export,
    infer,
    judge,
    one_error,
    pixels,
    table,
)
from PIL import Image, ImageOps

from anomaly.data.images import read_image
from anomaly.data.transform import Transform
from anomaly.measure.calibration import Scale
from anomaly.run.errors import DataError
from anomaly.show import captions, lettering
from anomaly.show import pictures as drawing

SOURCE = Path(__file__).resolve().parents[2] / "ascend310_infer"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Read only."""
    return export(tmp_path_factory.mktemp("model") / "known.onnx")


TRANSFORMS = [
    Transform((48, 64), None),
    Transform((64, 64), (48, 40)),
    Transform((65, 81), (40, 48)),  # an odd rest: the offset is rounded down
    Transform((256, 256), (224, 224)),
]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
@pytest.mark.parametrize("shape", [(300, 500), (517, 301), (40, 37), (50, 400), (256, 256)], ids=str)
def test_a_photograph_is_prepared_as_in_python(program, tmp_path, transform, shape):
    """Within one grey level: Debian's OpenCV rounds here and there otherwise than the one of the Python package."""
    smooth = cv2.GaussianBlur(picture(*shape), (0, 0), 2)
    path = write(tmp_path / "in" / "a.png", cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX))
    done = judge(program, export(tmp_path / "m.onnx", transform), path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = pixels(tmp_path / "out" / "a.png.bin", transform).astype(int)
    expected = transform.image(read_image(path)).astype(int)
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.05
    [row] = table(tmp_path / "out")
    assert float(row["score"]) == pytest.approx(found.mean(), rel=1e-5)


def test_all_formats_are_read(program, model, tmp_path):
    folder = tmp_path / "in"
    image = picture(48, 64)
    names = ["a.png", "b.JPG", "c.jpeg", "d.bmp", "e.tif", "f.tiff", "g.webp"]
    for name in names:
        write(folder / name, image)
    write(folder / "grey.png", image[..., 0])
    write(folder / "deep.png", image.astype(np.uint16) * 257)
    write(folder / "transparent.png", cv2.cvtColor(image, cv2.COLOR_BGR2BGRA))
    (folder / ".hidden.png").write_bytes(b"not looked at")
    (folder / "notes.txt").write_text("not looked at")
    done = judge(program, model, folder, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    expected = sorted([*names, "grey.png", "deep.png", "transparent.png"])
    assert [row["name"] for row in table(tmp_path / "out")] == expected
    for name in expected:
        difference = pixels(tmp_path / "out" / f"{name}.bin", PLAIN).astype(int) - read_image(folder / name)
        lossy = name[-3:].lower() in ("jpg", "peg", "ebp")  # the libraries differ
        assert np.abs(difference).mean() < (3 if lossy else 1e-9), name


def test_photographs_are_turned_as_their_camera_was(program, model, tmp_path):
    folder, exif = tmp_path / "in", Image.Exif()
    folder.mkdir()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        size = (48, 64) if orientation < 5 else (64, 48)
        for kind, options in {"png": {}, "tiff": {}, "webp": {"lossless": True, "exact": True}}.items():
            Image.fromarray(picture(*size)).save(folder / f"{orientation}.{kind}", exif=exif, **options)
    done = judge(program, model, folder, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for path in sorted(folder.iterdir()):
        upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
        assert np.array_equal(pixels(tmp_path / "out" / f"{path.name}.bin", PLAIN), upright), path.name


def test_verdicts_names_and_folders(program, model, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "in" / "out"
    for name, grey in {"good/1, a.png": 100, "b.png": 128, "broken/000.png": 130, "broken/deep/ä.png": 250}.items():
        write(folder / name, np.full((60, 70, 3), grey, np.uint8))
    for _ in range(2):  # the second time, the output of the first lies in the folder
        done = judge(program, model, folder, output)
        assert done.returncode == 0, done.stderr
        rows = table(output)
        assert [row["name"] for row in rows] == ["b.png", "broken/000.png", "broken/deep/ä.png", "good/1, a.png"]
    assert [row["verdict"] for row in rows] == ["NORMAL", "ANOMALOUS", "ANOMALOUS", "NORMAL"]
    scale = Scale(THRESHOLD, UNIT)
    for row in rows:
        assert float(row["normalised"]) == pytest.approx(float(scale.normalise(float(row["score"]))), rel=1e-8)
        assert (output / f"{row['name']}.bin").stat().st_size == 48 * 64 * 4
        assert (output / f"{row['name']}.heat.png").is_file()
    assert not list(output.rglob(".*"))


def test_without_a_threshold_there_is_no_verdict(program, tmp_path):
    model = export(tmp_path / "m.onnx", threshold=None, pixel_threshold=None)
    path = write(tmp_path / "a.png", picture(48, 64))
    done = judge(program, model, path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    [row] = table(tmp_path / "out")
    assert (row["verdict"], row["normalised"]) == ("UNKNOWN", "")
    check_overlay(tmp_path / "out", Scale(float("nan"), 1.0))


def test_a_random_backbone_marks_everything(program, tmp_path):
    model = export(tmp_path / "m.onnx", random_backbone=True, remark="trained for one step")
    path = write(tmp_path / "a.png", np.zeros((48, 64, 3), np.uint8))
    done = judge(program, model, path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "RANDOM BACKBONE" in done.stdout
    times = (tmp_path / "out" / "test_perform_static.txt").read_text()
    assert "RANDOM BACKBONE" in times
    assert "trained for one step" in times
    red, green, _ = cv2.split(read_image(tmp_path / "out" / "a.png.heat.png")[:48, :64].astype(int))
    assert (red - green).max() > 100  # letters on black


def check_overlay(output: Path, scale: Scale):
    values = np.fromfile(output / "a.png.bin", np.float32).reshape(PLAIN.size)
    expected = drawing.overlay(pixels(output / "a.png.bin", PLAIN), values, scale=scale)
    found = read_image(output / "a.png.heat.png")[: PLAIN.size[0], : PLAIN.size[1]]  # without the words below it
    # Rounding may move a level by one place of the colour map, whose places are up to 4 grey levels apart.
    assert np.abs(found.astype(int) - expected).max() <= 3


def test_the_heat_map_is_the_one_of_python(program, model, tmp_path):
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    path = write(tmp_path / "a.png", cv2.merge([ramp, ramp[:, ::-1], ramp]))
    assert judge(program, model, path, tmp_path / "out").returncode == 0
    check_overlay(tmp_path / "out", Scale(PIXEL_THRESHOLD, PIXEL_UNIT))


def test_the_verdict_stands_below_the_heat_map(program, model, tmp_path):
    """As Python's OpenCV writes it, in as much room as the words need."""
    bare = export(tmp_path / "m.onnx", threshold=None, pixel_threshold=None)
    words = {
        (model, 200): ("ANOMALOUS  0.909 (threshold 0.5)", captions.RED),
        (model, 100): ("NORMAL  0.182 (threshold 0.5)", captions.GREEN),
        (bare, 200): ("UNKNOWN  score 200", captions.GREY),
    }
    for (each, grey), (text, colour) in words.items():
        path = write(tmp_path / "a.png", np.full((48, 64, 3), grey, np.uint8))
        assert judge(program, each, path, tmp_path / "out").returncode == 0
        found = read_image(tmp_path / "out" / "a.png.heat.png")
        expected = np.full((18, lettering.width(text, lettering.SMALLEST), 3), 255, np.uint8)
        lettering.write(expected, text, place=(0, 14), colour=colour)
        assert found.shape == (48 + 18, expected.shape[1], 3)
        assert np.array_equal(found[48:], expected) and (found[:48, 64:] == 255).all()


@pytest.mark.parametrize("batch", [1, 4, "dynamic"])
@pytest.mark.parametrize("form", [{}, {"score_first": True}, {"column": True}, {"normalised": True}], ids=str)
def test_every_batch_size_and_order_of_outputs(program, tmp_path, batch, form):
    """Six images and one that cannot be read, so that a batch of four is filled up once and left part empty once."""
    images = {f"{i}.png": picture(48, 64, seed=i) for i in range(6)}
    for name, image in images.items():
        write(tmp_path / "in" / name, image)
    (tmp_path / "in" / "2_bad.png").write_bytes(b"nothing")
    done = judge(program, export(tmp_path / "m.onnx", batch=batch, **form), tmp_path / "in", tmp_path / "out")
    one_error(done, "2_bad.png")
    rows = {row["name"]: float(row["score"]) for row in table(tmp_path / "out")}
    assert list(rows) == list(images)
    for name, image in images.items():
        assert np.array_equal(pixels(tmp_path / "out" / f"{name}.bin", PLAIN), image[..., ::-1])
        assert rows[name] == pytest.approx(image.mean(), rel=1e-5)


def test_bin_files_are_taken_as_they_are(program, model, tmp_path):
    folder = tmp_path / "in" / "broken"
    folder.mkdir(parents=True)
    image = picture(48, 64)
    image.tofile(folder / "000.png.bin")
    image[:20].tofile(folder / "001.png.bin")
    write(folder / "photograph.png", image)  # not a .bin
    done = judge(program, model, tmp_path / "in", tmp_path / "out", "--preprocess", "n")
    one_error(done, "broken/001.png.bin", "3840 bytes", 48 * 64 * 3)
    [row] = table(tmp_path / "out")
    assert row["name"] == "broken/000.png"
    assert np.array_equal(pixels(tmp_path / "out" / "broken" / "000.png.bin", PLAIN), image)
    assert not list((tmp_path / "out").rglob("*.heat.png"))


def test_times(program, model, tmp_path):
    for i in range(5):
        write(tmp_path / "in" / f"{i}.png", picture(48, 64))
    done = judge(program, model, tmp_path / "in", tmp_path / "out", "--warmup", "0")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "test_perform_static.txt").read_text()
    assert text in done.stdout
    assert "images: 5, 0 warm-up runs" in text
    for name in ("inference", "whole image"):
        [line] = [line for line in text.splitlines() if line.startswith(name)]
        low, median, p95, high = [float(word) for word in line.split()[-7::2]]
        assert 0 < low <= median <= p95 <= high
    assert float(text.split()[-1]) > 0


def test_files_that_are_no_images_do_not_stop_the_others(program, model, tmp_path):
    folder = tmp_path / "in"
    image = picture(200, 200)
    write(folder / "fine.png", image)
    bad = {"empty.png": b"", "text.jpg": b"hello"}
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        data = write(tmp_path / f"whole{suffix}", image).read_bytes()
        bad[f"half{suffix}"] = data[: len(data) // 2]
    for kept in (20, 100, 900):  # parts of a header
        bad[f"kept{kept}.jpg"] = (tmp_path / "whole.jpg").read_bytes()[:kept]
    moves = io.BytesIO()
    Image.fromarray(image).save(moves, "WEBP", save_all=True, append_images=[Image.fromarray(255 - image)])
    bad["moves.webp"] = moves.getvalue()
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    done = judge(program, model, folder, tmp_path / "out")
    assert done.returncode == 1 and "moves.webp: is an animation; save the picture that is meant" in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [Path(line[7:].split(":")[0]).name for line in lines] == sorted(bad)
    assert [row["name"] for row in table(tmp_path / "out")] == ["fine.png"]


def test_a_jpeg_with_something_behind_its_end_is_read(program, model, tmp_path):
    path = write(tmp_path / "a.jpg", picture(48, 64))
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert judge(program, model, path, tmp_path / "out").returncode == 0


@pytest.fixture
def photograph(tmp_path) -> Path:
    return write(tmp_path / "in" / "a.png", picture(48, 64))


def test_a_model_that_is_not_there_or_not_a_model(program, model, photograph, tmp_path):
    one_error(judge(program, tmp_path / "x.onnx", photograph, tmp_path / "out"), tmp_path / "x.onnx", "no such file")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(model.read_bytes()[:100])
    one_error(judge(program, bad, photograph, tmp_path / "out"), tmp_path / "bad.json")
    describe(bad, PLAIN)
    one_error(judge(program, bad, photograph, tmp_path / "out"), bad, "cannot be loaded")
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_the_described_one(program, photograph, tmp_path):
    model = export(tmp_path / "m.onnx")
    description = model.with_suffix(".json").read_text()
    model.write_bytes(model.read_bytes() + b"\n")
    one_error(judge(program, model, photograph, tmp_path / "out"), model, "m.json", "sha256")
    model = export(tmp_path / "m.onnx", Transform((32, 32), None))
    describe(model, PLAIN)
    one_error(judge(program, model, photograph, tmp_path / "out"), model, "[1,32,32,3]", "[1,48,64,3]")
    for text in ("", "{", "[]", description.replace("threshold", "limit"), description.replace("uint8", "float32")):
        model.with_suffix(".json").write_text(text)
        one_error(judge(program, model, photograph, tmp_path / "out"), tmp_path / "m.json")
    describe(model, PLAIN, format_version=3)
    one_error(judge(program, model, photograph, tmp_path / "out"), tmp_path / "m.json", "format_version")


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000])
def test_checksums_of_all_lengths(program, photograph, tmp_path, length):
    """A wrong checksum would be told before the model is found to be none."""
    model = tmp_path / "m.onnx"
    model.write_bytes(bytes(range(256)) * 4)
    os.truncate(model, length)
    describe(model, PLAIN)
    one_error(judge(program, model, photograph, tmp_path / "out"), model, "cannot be loaded")


def test_a_value_that_is_no_number_is_not_called_normal(program, photograph, tmp_path):
    with np.errstate(divide="ignore"):
        model = export(tmp_path / "m.onnx", zero=True)
    one_error(judge(program, model, photograph, tmp_path / "out"), photograph, "no numbers")
    assert table(tmp_path / "out") == []


def test_input_that_is_not_there(program, model, tmp_path):
    one_error(judge(program, model, tmp_path / "none", tmp_path / "out"), tmp_path / "none", "no such file or folder")
    (tmp_path / "empty").mkdir()
    one_error(judge(program, model, tmp_path / "empty", tmp_path / "out"), tmp_path / "empty", "holds no image")
    done = judge(program, model, tmp_path / "empty", tmp_path / "out", "--preprocess", "n")
    one_error(done, tmp_path / "empty", "no .bin file")


def test_output_never_goes_into_the_folder_of_the_input(program, model, photograph):
    for source in (photograph, photograph.parent):
        one_error(judge(program, model, source, photograph.parent), photograph.parent, "another --output")
    assert [path.name for path in photograph.parent.iterdir()] == ["a.png"]


def test_output_that_cannot_be_written(program, model, photograph, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    one_error(judge(program, model, photograph, file), file / "results.csv", "cannot be written")
    one_error(judge(program, model, photograph, file / "below"), file / "below", "cannot be written")


def test_a_disk_that_is_full(program, model, photograph, tmp_path):
    """A limit on the size of files stands for it: the map does not fit. The results of an earlier run go."""
    assert judge(program, model, photograph, tmp_path / "out").returncode == 0

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    done = judge(program, model, photograph, tmp_path / "out", preexec_fn=limit, restore_signals=False)
    one_error(done, tmp_path / "out" / "a.png.bin", "cannot be written", "too large")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png.bin", "a.png.heat.png", "results.csv"]
    assert table(tmp_path / "out") == []  # the images that were done: none


def test_a_tiff_of_floats_is_refused_as_in_python(program, model, tmp_path):
    path = tmp_path / "photos" / "floats.tif"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.full((60, 70, 3), 100, np.float32))
    with pytest.raises(DataError) as caught:
        read_image(path)
    one_error(judge(program, model, path, tmp_path / "out"), str(caught.value))
    cv2.imwrite(str(path), np.full((60, 70, 3), 100, np.uint16))
    assert judge(program, model, path, tmp_path / "out").returncode == 0


NEEDED = ("--model", "m.onnx", "--input", "in", "--output", "out")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "--model is missing"),
        (NEEDED[:4], "--output is missing"),
        ((*NEEDED, "--fast"), "unknown argument '--fast'"),
        ((*NEEDED, "more"), "unknown argument 'more'"),
        ((*NEEDED, "--device"), "--device needs a value"),
        (("--model", "--input", "in"), "--model needs a value"),
        ((*NEEDED, "--device", "tpu"), "'tpu'"),
        ((*NEEDED, "--preprocess", "yes"), "'yes'"),
        ((*NEEDED, "--warmup", "-1"), "'-1'"),
        ((*NEEDED, "--device_id", "1x"), "'1x'"),
        ((*NEEDED, "--model", "m.pb"), "'m.pb'"),
    ],
)
def test_wrong_arguments_are_one_line(program, arguments, reason):
    done = infer(program, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr.splitlines()[0]
    assert done.stderr.endswith("(--help shows the options)\n") and done.stderr.count("\n") == 1


def test_help(program):
    done = infer(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: anomaly_infer")


def test_a_device_without_an_engine(program, model, photograph, tmp_path):
    one_error(judge(program, model, photograph, tmp_path / "out", "--device", "ascend"), model, ".mindir")
    lite = tmp_path / "m.mindir"
    lite.write_bytes(b"any")
    describe(lite, PLAIN, sha256={"onnx": "of the file it was made from"})
    alone = shutil.copy(program, tmp_path)  # without the library of that engine beside it
    one_error(
        judge(alone, lite, photograph, tmp_path / "out"),
        lite,
        "MindSpore Lite",
        f"neither in {tmp_path} nor in ",
        "LITE_HOME",
    )


def test_build_without_any_engine_says_what_to_install(tmp_path):
    environment = {"PATH": os.environ["PATH"], "PYTHON": "/bin/false"}
    command = ["bash", str(SOURCE / "build.sh")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    one_error(done, "pip install openvino", "LITE_HOME")
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: bash ascend310_infer/build.sh")
