"""run_infer_cpp.sh and run_infer_310.sh check, show and run four steps, of which the first that fails is the last."""

import importlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import CPU, RANDOM, SMALL, listing
from commands import run as command
from cpp import building
from shell import ROOT, alive, environment, program, run, until
from shell import command as script

CPP, LITE = "run_infer_cpp.sh", "run_infer_310.sh"
METHODS = ("patchcore", "padim", "fastflow")

# Stand for Python, for the tools of the build and for what it builds; the one that FAIL names fails.
FAKE_PYTHON = """
if [[ "${1:-}" == -c ]]; then [[ "$2" != *openvino* && "$2" != *mindspore* ]]; exit; fi # neither is there
echo "called with $*"
if [[ -n "${SLOW:-}" ]]; then echo $BASHPID >"$SLOW"; exec sleep 60; fi
if [[ -n "${FAIL:-}" && "$1" == *"/$FAIL.py" ]]; then echo "nothing is right"; exit 7; fi
"""
FAKE_CMAKE = """
echo "-- engines: none"
if [[ "${FAIL:-}" == build ]]; then echo "nothing is right"; exit 7; fi
"""
FAKE_INFER = """
if [[ "${FAIL:-}" == infer ]]; then echo "nothing is right"; exit 7; fi
mkdir -p "$6" && echo "fast" >"$6/test_perform_static.txt"
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """Where a user might stand, with a model and data; all have spaces in their names."""
    (tmp_path / "my photos" / "big gear").mkdir(parents=True)
    for name in ("my model.onnx", "my model.mindir", "my model.json"):
        (tmp_path / name).touch()
    program(tmp_path / "my env" / "python", FAKE_PYTHON)
    return tmp_path


@pytest.fixture
def built(place) -> dict:
    """The variables with which no step is real."""
    for tool in ("cmake", "make", "g++"):
        program(place / "tools" / tool, FAKE_CMAKE)
    program(place / "my build" / "anomaly_infer", FAKE_INFER)
    for part in ("include", "lib"):
        (place / "lite" / "runtime" / part).mkdir(parents=True)
    return {"PATH": f"{place}/tools:{os.environ['PATH']}", "BUILD_DIR": "my build", "LITE_HOME": "lite"}


def infer(place: Path, name: str, *words, **variables) -> subprocess.CompletedProcess:
    variables.setdefault("PYTHON", "my env/python")
    return run(name, *words, cwd=place, **{"LITE_HOME": "", "BUILD_DIR": "", **variables})


def words_of(name: str, method="padim", model="", data="my photos", prepare="y", category="big gear", device="CPU"):
    if name == LITE:
        return [method, model or "my model.mindir", data, category]
    return [method, model or "my model.onnx", data, prepare, category, device]


def own(name: str, *places) -> list:
    """The same with folders of one's own in the place of the data set."""
    words = words_of(name)
    words.remove("my photos")
    return [*words, *places]


def assert_usage(done: subprocess.CompletedProcess, name: str, *parts):
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    first, usage = done.stderr.split("\n", 1)
    assert first.startswith("error: ") and usage.startswith(f"Usage: bash scripts/{name} METHOD ")
    for part in parts:
        assert part in first, first


def assert_error(done: subprocess.CompletedProcess, *parts):
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr


@pytest.mark.parametrize("name", [CPP, LITE])
def test_the_number_of_arguments(place, name):
    good = words_of(name)
    for words in ((), good[:-1], [*good, "0", "1"], [*good[:-1], ""], [*good, "--quick"], [*good, "--output_dir"]):
        assert_usage(infer(place, name, *words), name)
    assert_usage(infer(place, name, *good, "--dry_run", "--", "--seed"), name, "--seed")


@pytest.mark.parametrize("name", [CPP, LITE])
@pytest.mark.parametrize(
    "wrong", [{"method": "resnet"}, {"method": "all"}, {"category": "../my photos"}, {"category": ".."}]
)
def test_arguments_that_are_wrong(place, name, wrong):
    assert_usage(infer(place, name, *words_of(name, **wrong)), name, *wrong.values())


def test_an_engine_is_one_that_there_is(place):
    assert_usage(infer(place, CPP, *words_of(CPP), "--engine", "torch"), CPP, "torch")


@pytest.mark.parametrize(
    ("model", "device", "engine", "reason"),
    [
        ("my model.onnx", "CPU", "lite", "a .onnx is for openvino"),
        ("my model.mindir", "GPU", "tensorrt", "a .mindir is for lite"),
        ("my model.onnx", "CPU", "tensorrt", "not on CPU"),
    ],
)
def test_an_engine_goes_with_model_and_device(place, model, device, engine, reason):
    words = (*words_of(CPP, model=model, device=device), "--engine", engine)
    assert_usage(infer(place, CPP, *words), CPP, f"--engine: {engine}; ", reason)


def test_a_cpu_has_no_number(place):
    assert_usage(infer(place, CPP, *words_of(CPP), "1"), CPP, "DEVICE_ID: 1")


@pytest.mark.parametrize("wrong", [{"prepare": "yes"}, {"device": "cpu"}, {"device": "TPU"}])
def test_arguments_that_only_one_of_them_has(place, wrong):
    assert_usage(infer(place, CPP, *words_of(CPP, **wrong)), CPP, *wrong.values())


@pytest.mark.parametrize("name", [CPP, LITE])
@pytest.mark.parametrize("number", ["one", "1x", "0,1", "1.5"])
def test_a_device_is_a_number(place, name, number):
    assert_usage(infer(place, name, *words_of(name), number), name, number)


def test_onnx_is_not_for_ascend(place):
    assert_usage(infer(place, CPP, *words_of(CPP, device="Ascend")), CPP, "Ascend", ".onnx")
    assert_usage(infer(place, LITE, *words_of(LITE, model="my model.onnx")), LITE, "my model.onnx", ".mindir")


@pytest.mark.parametrize("name", [CPP, LITE])
def test_what_is_not_there_is_named_and_nothing_is_started(place, name):
    before = listing(place)
    model = words_of(name)[1]
    assert_error(infer(place, name, *words_of(name, model=f"no/{model}")), f"no/{model}: no such file")
    assert_error(infer(place, name, *words_of(name, data="no photos")), "no photos: no such folder")
    assert_error(infer(place, name, *words_of(name, category="nut")), "my photos/nut: no such folder")
    assert_error(infer(place, name, *words_of(name), PYTHON="no python"), "no python: no such program")
    assert_error(infer(place, name, *own(name, "--good", "no parts")), "no parts: no such file or folder")
    assert listing(place) == before
    (place / "my model.json").unlink()
    assert_error(infer(place, name, *words_of(name)), "my model.json: no such file")


def test_without_preprocessing_there_must_be_what_an_earlier_run_prepared(place):
    words = (*words_of(CPP, prepare="n"), "--output_dir", "out", "--dry_run")
    assert_error(infer(place, CPP, *words), "out/big gear/img: no such folder")
    (place / "out" / "big gear" / "img").mkdir(parents=True)
    assert_error(infer(place, CPP, *words), "out/big gear/label/index.json: no such file")


def test_a_folder_that_cannot_be_written(place):
    (place / "file").touch()
    assert_error(infer(place, CPP, *words_of(CPP), "--output_dir", "file/out"), "file/out: cannot be written")


def steps(done: subprocess.CompletedProcess) -> list:
    assert (done.returncode, done.stderr) == (0, "")
    return [shlex.split(line) for line in done.stdout.splitlines()]


def expected(method: str, model: str, device: str, number: str, output="out", more=()) -> list:
    folder, python = f"{output}/big gear", "my env/python"
    data, category = ("--dataset_path", "my photos"), ("--category", "big gear")
    sent, back = ("--input", f"{folder}/img"), ("--output", f"{folder}/result")
    infer = [f"{ROOT}/ascend310_infer/build/anomaly_infer", "--model", model, *sent, *back]
    acc = [python, f"{ROOT}/{method}/postprocess.py", "--result_dir", f"{folder}/result"]
    return [
        [python, f"{ROOT}/{method}/preprocess.py", *data, *category, "--output_dir", folder, "--model_path", model],
        ["bash", f"{ROOT}/ascend310_infer/build.sh"],
        [*infer, "--device", device, "--device_id", number, *more, "--preprocess", "n"],
        [*acc, "--label_dir", f"{folder}/label", *category, "--model_path", model],
    ]


@pytest.mark.parametrize("method", METHODS)
def test_the_four_steps_are_shown(place, method):
    before = listing(place)
    more = ("--output_dir", "out", "--dry_run")
    done = infer(place, CPP, *words_of(CPP, method), *more)
    assert steps(done) == expected(method, "my model.onnx", "cpu", "0")
    done = infer(place, CPP, *words_of(CPP, method, "my model.mindir", device="GPU"), "1", *more, "--engine", "lite")
    assert steps(done) == expected(method, "my model.mindir", "gpu", "1", more=["--engine", "lite"])
    done = infer(place, LITE, *words_of(LITE, method), "2", *more)
    assert steps(done) == expected(method, "my model.mindir", "ascend", "2")
    done = infer(place, CPP, *words_of(CPP, method, device="GPU"), *more, "--engine", "tensorrt")
    assert steps(done) == expected(method, "my model.onnx", "gpu", "0", more=["--engine", "tensorrt"])
    assert listing(place) == before


@pytest.mark.parametrize("name", [CPP, LITE])
def test_folders_of_ones_own_take_the_place_of_the_data_set(place, name):
    places = ("--good=my photos", "--bad=my photos/*", "--bad=my photos/big gear")
    done = infer(place, name, *own(name, *places, "--output_dir", "out", "--dry_run"))
    model, device = words_of(name)[1], "ascend" if name == LITE else "cpu"
    known = expected("padim", model, device, "0")
    known[0][2:4] = places
    assert steps(done) == known
    words = own(name, "--good", "my photos", "--output_dir", "my photos/out", "--dry_run")
    assert_error(infer(place, name, *words), "my photos/out/big gear: is among the photographs")
    assert_usage(infer(place, name, *words_of(name), "0", "--good", "my photos"), name, "too many arguments")


def test_without_preprocessing_three_steps_are_shown(place):
    (place / "out" / "big gear" / "img").mkdir(parents=True)
    (place / "out" / "big gear" / "label").mkdir()
    (place / "out" / "big gear" / "label" / "index.json").touch()
    done = infer(place, CPP, *words_of(CPP, prepare="n"), "--output_dir=out", "--dry_run")
    assert steps(done) == expected("padim", "my model.onnx", "cpu", "0")[1:]


def test_the_usual_folder_and_another_one_to_build_in(place):
    done = infer(place, CPP, *words_of(CPP), "--dry_run", BUILD_DIR="my build")
    usual = expected("padim", "my model.onnx", "cpu", "0", output=f"{ROOT}/output/infer/padim")
    usual[2][0] = "my build/anomaly_infer"
    assert steps(done) == usual


def test_ascends_own_settings_are_read_first(place):
    (place / "toolkit" / "latest").mkdir(parents=True)
    (place / "toolkit" / "set_env.sh").write_text("echo reading them")
    done = infer(place, LITE, *words_of(LITE), "--dry_run", ASCEND_HOME_PATH=place / "toolkit" / "latest")
    assert done.returncode == 0 and done.stderr == "reading them\n"


def test_without_any_engine_nothing_is_built(place, built):
    done = infer(place, CPP, *words_of(CPP), "--output_dir", "out", **{**built, "LITE_HOME": ""})
    assert done.returncode == 1 and "build failed" in done.stderr
    assert "error: no engine found: pip install openvino or onnxruntime" in done.stderr


STEPS = ["preprocess", "build", "infer", "acc"]


@pytest.mark.parametrize("name", [CPP, LITE])
def test_four_steps_leave_four_logs_and_the_figures_are_shown(place, built, name):
    done = infer(place, name, *words_of(name), "--output_dir", "out", **built)
    assert (done.returncode, done.stderr) == (0, "")
    *started, fast, figures = done.stdout.splitlines()
    assert started == [f"{step}: out/{step}_big gear.log" for step in STEPS]
    assert fast == "fast" and figures.startswith(f"called with {ROOT}/padim/postprocess.py ")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", [CPP, LITE])
def test_a_step_that_fails_is_the_last(place, built, name, step):
    fail, code = "postprocess" if step == "acc" else step, 1 if step == "build" else 7
    for part in ("result", "label"):
        (place / "out" / "big gear" / part).mkdir(parents=True)
    (place / "out" / "big gear" / "label" / "index.json").write_text("of an earlier run")
    for old in ("infer", "acc"):
        (place / "out" / f"{old}_big gear.log").write_text("of an earlier run")
    done = infer(place, name, *words_of(name), "--output_dir", "out", FAIL=fail, **built)
    assert done.returncode == code
    log = f"out/{step}_big gear.log"
    assert done.stdout.splitlines()[-1] == f"{step}: {log}"
    assert done.stderr == f"{(place / log).read_text()}error: {step} failed with exit code {code}; see {log}\n"
    assert "nothing is right" in done.stderr
    if step == "preprocess":  # nothing was begun, so what an earlier run made stays
        assert (place / "out" / "infer_big gear.log").is_file() and (place / "out" / "big gear" / "result").is_dir()
        return
    names = STEPS[: STEPS.index(step) + 1]
    assert sorted(path.name for path in (place / "out").glob("*.log")) == sorted(f"{n}_big gear.log" for n in names)
    assert (place / "out" / "big gear" / "result").exists() == (step == "acc")


def test_a_model_among_the_results_is_not_removed_with_them(place, built):
    kept = place / "out" / "big gear" / "result" / "my model.onnx"
    kept.parent.mkdir(parents=True)
    (kept.parent.parent / "label").mkdir()
    for path in (kept, kept.with_suffix(".json"), kept.parent.parent / "label" / "index.json"):
        path.touch()
    done = infer(place, CPP, *words_of(CPP, model=f"{kept}"), "--output_dir", "out", **built)
    assert_error(done, f"{kept}: lies where results are written")
    assert kept.is_file()


@pytest.fixture(scope="module")
def exported(tmp_path_factory, toy) -> Path:
    """A folder to stand in, with data and PatchCore's model, trained on a category with a space in its name."""
    place = tmp_path_factory.mktemp("my place")
    shutil.copytree(toy / "gear", place / "my photos" / "big gear")
    base = ("--category", "big gear", "--output_dir", place / "trained", *CPU)
    data = ("--dataset_path", place / "my photos")
    for name, more in (("train", (*data, *SMALL, *RANDOM)), ("eval", data), ("export", ("--file_format", "ONNX"))):
        result = command(importlib.import_module(f"patchcore.{name}").main, *base, *more)
        assert result.code == 0, result.err
    return place


def chain(exported, model, *, prepare, program, lite_home, places=()) -> tuple:
    """run_infer_cpp.sh from a folder below: the AUROCs that it ends with, and those of evaluation."""
    (exported / "below").mkdir(exist_ok=True)
    words = words_of(CPP, "patchcore", f"../{model}", "../my photos", prepare)
    if places:
        words[2:3] = []
    variables = {"PYTHON": sys.executable, "BUILD_DIR": program.parent, "LITE_HOME": lite_home}
    with building(program.parent):
        done = run(CPP, *words, "--output_dir", "../out", *places, cwd=exported / "below", timeout=600, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    log = (exported / "out" / "acc_big gear.log").read_text()
    assert log in done.stdout and "inference [ms]" in done.stdout
    assert [path.name for path in (exported / "below").iterdir()] == []
    found = re.search(r"^img_auc: (\d\.\d+), pixel_auc: (\d\.\d+)$", log, re.M).groups()
    known = json.loads((exported / "trained" / "big gear" / "results.json").read_text())
    return [float(value) for value in found], pytest.approx([known["img_auc"], known["pixel_auc"]], abs=5e-5)


def test_the_accuracy_is_the_one_of_evaluation(exported, program, lite_home):
    sent, times = exported / "out" / "big gear" / "img" / "000.bin", []
    for prepare in ("y", "n"):
        model = "trained/big gear/patchcore_big gear.onnx"
        found, known = chain(exported, model, prepare=prepare, program=program, lite_home=lite_home)
        assert found == known
        times.append(sent.stat().st_mtime_ns)
    assert times[0] == times[1]
    photographs = exported / "my photos" / "big gear"
    kinds = [path for path in sorted((photographs / "test").iterdir()) if path.name != "good"]
    places = ["--good", photographs / "train", "--test_good", photographs / "test" / "good"]
    places += [word for kind in kinds for word in ("--bad", kind)] + ["--masks", photographs / "ground_truth"]
    found, known = chain(exported, model, prepare="y", program=program, lite_home=lite_home, places=places)
    assert found == known
    result = exported / "out" / "big gear" / "result"
    wrong = words_of(CPP, "patchcore", model)
    wrong[2:3] = ["--good", "no such parts*"]
    done = run(CPP, *wrong, "--output_dir", "out", cwd=exported, PYTHON=sys.executable, BUILD_DIR=program.parent)
    assert done.returncode == 1 and "matches no folder and no image" in done.stderr
    names = {path.name for path in result.glob("*.bin")}
    assert names == {f"{number:03}.bin" for number in range(12)}
    for name in ("results.csv", "test_perform_static.txt", "results.json"):
        assert (result / name).is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_script_ends_the_step_and_the_script(place, built, number, code):
    pid = place / "pid"
    variables = {**built, "PYTHON": "my env/python", "SLOW": pid}
    with subprocess.Popen(
        script(CPP, *words_of(CPP), "--output_dir", "out"), cwd=place, env=environment(**variables)
    ) as process:
        until(lambda: pid.is_file() and pid.read_text().strip())
        process.send_signal(number)
        assert process.wait(timeout=20) == code
    until(lambda: not alive(int(pid.read_text())))
    assert not (place / "out" / "build_big gear.log").exists()


@pytest.mark.parametrize("name", [CPP, LITE])
def test_nothing_is_written_over_what_is_not_of_this_script(place, built, name):
    mine = place / "out" / "big gear" / "result" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    before = listing(place)
    done = infer(place, name, *words_of(name), "--output_dir", "out", **built)
    assert_error(done, "out/big gear/result: was not written by this script")
    done = infer(place, name, *words_of(name), "--output_dir", "my photos", **built)
    assert_error(done, "my photos/big gear: is among the photographs")
    assert listing(place) == before
    assert_usage(infer(place, name, *words_of(name, category="all"), **built), name, "all")
