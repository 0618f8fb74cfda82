"""The full benchmark, mostly with trainings that are a few lines of Python, and once with real ones."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import METHODS as SMALL_OPTIONS
from commands import run
from shell import ROOT, alive, until

from anomaly.data import toydata
from anomaly.run import lock
from benchmarks import full, jobs

# What is run


def test_what_is_done_is_left_out_unless_options_change_or_it_is_to_be_fresh(bench):
    (bench.data / "zebra" / "train" / "good").rmdir()
    assert bench("patchcore", "--", "--seed", "3").code == 0
    assert bench.ran() == ["carpet", "bottle", "apple"]
    given = bench.events()[0]["given"]
    assert given[given.index("--seed") + 1] == "3" and "--resume" not in given
    again = bench("patchcore", "--device_ids", "1", "--", "--seed", "3")
    assert again.code == 0 and len(bench.ran()) == 3 and again.out.count("done before") == 3
    other = bench("patchcore", "--patchcore", "--k 3", "--", "--seed", "3")
    assert other.code == 0 and len(bench.ran()) == 6 and "its options or photographs have changed" in other.out
    assert bench("patchcore", "--fresh", "--patchcore", "--k 3", "--", "--seed", "3").code == 0
    assert len(bench.ran()) == 9
    marker = json.loads((bench.output / "patchcore/train_bottle/done.json").read_text())
    assert "images" not in marker["results"] and marker["seconds"] > 0
    assert "mindspore: " in (bench.output / "patchcore/train_bottle/env.log").read_text()


def test_a_category_is_run_again_for_new_photographs_and_where_its_state_is_gone(bench):
    assert bench("padim").code == 0
    (bench.data / "apple/train/good/new.png").write_bytes(b"photograph")
    (bench.output / "padim/bottle/state.json").unlink()
    assert bench("padim").code == 0
    assert bench.ran() == ["bottle", "carpet", "apple", "zebra", "bottle", "apple"]


def test_all_methods_run_with_the_flags_of_each(bench):
    done = bench("all", "--fastflow", "--conv3x3_only", "--padim", "--embedding_dim 20", "--", "--pictures", "2")
    assert done.code == 0, done.err
    assert [event["method"] for event in bench.events()] == [name for name in jobs.METHODS for _ in range(4)]
    for event in bench.events():
        assert ("--conv3x3_only" in event["given"]) == (event["method"] == "fastflow")
        assert ("--embedding_dim" in event["given"]) == (event["method"] == "padim")
        assert "--pictures" in event["given"]


def test_a_category_that_fails_keeps_no_other_from_running(bench):
    bench.plan(bottle={"error": "no such weights"}, apple={"code": 7})
    done = bench("padim")
    assert done.code == 1 and bench.ran("end") == ["carpet", "zebra"]
    log = bench.output / "padim/train_bottle/train.log"
    assert done.errors == [
        f"failed: padim bottle: no such weights ({log})",
        f"failed: padim apple: exit code 7; its last line: half way ({log.parents[1]}/train_apple/train.log)",
    ]
    assert ["padim", "bottle", *"-----"] == bench.table()[0][:7]
    bench.plan()
    assert bench("padim").code == 0 and bench.ran()[4:] == ["bottle", "apple"]


def test_success_without_results_is_a_failure(bench):
    assert bench("padim").code == 0
    (bench.root / "padim" / "train.py").write_text("")  # leaves the results of the run before
    done = bench("padim", "--fresh")
    assert done.code == 1 and "wrote no" in done.err


def test_two_devices_work_at_the_same_time_each_on_one_category(bench):
    bench.plan(**{name: {"sleep": 1} for name in ("carpet", "bottle", "apple", "zebra")})
    assert bench("patchcore", "--device_ids", "0,3").code == 0
    starts = {event["category"]: event for event in bench.events("start")}
    ends = {event["category"]: event["time"] for event in bench.events("end")}
    assert {event["device"] for event in starts.values()} == {"0", "3"}
    assert max(starts["carpet"]["time"], starts["bottle"]["time"]) < min(ends["carpet"], ends["bottle"])
    for device in ("0", "3"):
        mine = sorted((event["time"], ends[name]) for name, event in starts.items() if event["device"] == device)
        assert len(mine) == 2 and mine[0][1] <= mine[1][0]
    cores = len(os.sched_getaffinity(0))
    assert os.environ.get("OMP_NUM_THREADS") or starts["apple"]["threads"] == str(max(1, cores // 2))


def test_an_interrupted_training_is_gone_on_with_only_with_the_same_options(bench):
    bench.plan(bottle={"error": "stopped"})
    assert bench("fastflow").code == 1
    bench.plan()
    assert bench("fastflow", "--", "--lr", "0.1").code == 0  # all four with another option: none is gone on with
    assert not any("--resume" in event["given"] for event in bench.events())
    bench.plan(bottle={"error": "stopped"})
    assert bench("fastflow", "--", "--lr", "0.2").code == 1
    bench.plan()
    done = bench("fastflow", "--", "--lr", "0.2")
    assert done.code == 0 and "going on after" in done.out
    assert [event["category"] for event in bench.events() if "--resume" in event["given"]] == ["bottle"]
    log = (bench.output / "fastflow/train_bottle/train.log").read_text()
    assert log.count("half way") == 2 and "error: stopped" in log
    assert bench("fastflow", "--fresh", "--", "--lr", "0.2").code == 0
    assert sum("--resume" in event["given"] for event in bench.events()) == 1


def test_a_training_that_cannot_be_gone_on_with_is_begun_anew(bench):
    bench.plan(bottle={"error": "damaged"})
    for _ in range(3):
        assert bench("fastflow").code == 1
    assert ["--resume" in e["given"] for e in bench.events() if e["category"] == "bottle"] == [False, True, False]


def test_models_are_exported_and_evaluated_where_there_is_something_trained(bench):
    nothing = bench("all", "--task", "onnx")
    assert nothing.code == 1 and len(nothing.errors) == 1 and "holds nothing trained" in nothing.err
    assert bench("padim").code == 0
    (bench.output / "padim/zebra/state.json").unlink()
    done = bench("all", "--task", "onnx", "--", "--pictures", "0")
    assert done.code == 0, done.err
    assert f"padim zebra: is left out, {bench.output / 'padim'} holds nothing trained of it\n" in done.out
    later = [event for event in bench.events() if event["command"] != "train"]
    assert [event["command"] for event in later] == ["export", "eval"] * 3
    assert [event["category"] for event in later[::2]] == ["bottle", "carpet", "apple"]
    assert "--pictures" in later[1]["given"] and "--pictures" not in later[0]["given"]
    model = str(bench.output / "onnx/padim/bottle/padim_bottle.onnx")
    assert model in later[0]["given"] and model in later[1]["given"]
    assert [row[1] for row in bench.table("onnx")] == ["bottle", "carpet", "apple", "mean"]
    assert (bench.output / "onnx/results.md").read_text().startswith("# Full benchmark of the models in ONNX on CPU\n")
    assert f"exported from {bench.output / 'padim'}; options: --pictures 0" in done.out
    (bench.output / "padim/carpet/state.json").write_text("{ }")  # trained anew
    assert bench("all", "--task", "onnx", "--", "--pictures", "0").code == 0
    assert bench.ran()[-2:] == ["carpet", "carpet"] and len(bench.events()) == len(later) + 6


def test_models_are_of_the_newest_results_unless_a_folder_is_named(bench):
    for age, device in ((2, "cpu"), (0, "gpu"), (1, "ascend")):
        results = bench.root / "output" / f"mvtec_{device}" / "results.json"
        results.parent.mkdir(parents=True)
        results.write_text("{}")
        os.utime(results, (1000 - age, 1000 - age))
    assert full.default_output(jobs.ONNX, "CPU").name == "mvtec_gpu"
    assert full.default_output(jobs.TRAIN, "CPU").name == "mvtec_cpu"


def test_a_signal_while_it_is_loading_is_no_traceback():
    command = [sys.executable, ROOT / "benchmarks" / "full.py", "padim", "--dataset_path", ROOT]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: "numpy" in Path(f"/proc/{process.pid}/maps").read_text())
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == "" and process.returncode == -signal.SIGINT


# How it ends


def test_a_second_benchmark_in_the_same_folder_is_refused(bench):
    bench.output.mkdir()
    with lock.locked(bench.output):
        done = bench("padim")
    assert done.code == 1 and len(done.errors) == 1 and f"process {os.getpid()} is at work there" in done.err
    assert bench("padim").code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_processes_too(bench, number):
    bench.plan(bottle={"sleep": 60}, carpet={"sleep": 60})
    driver = bench.start("padim", "--device_ids", "0,1")
    until(lambda: len(bench.ran()) == 2)
    driver.send_signal(number)
    out, _ = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert out.splitlines()[-2:] == ["started again with the same options, it goes on where it was", "error: stopped"]
    assert not any(alive(event["pid"]) for event in bench.events())


def test_after_a_kill_the_processes_are_gone_and_nothing_that_was_done_runs_again(bench):
    bench.plan(bottle={"sleep": 0.1}, carpet={"sleep": 0.1}, apple={"sleep": 60})
    driver = bench.start("fastflow")
    until(lambda: bench.ran() == ["bottle", "carpet", "apple"])
    tables_before = bench.table()
    driver.kill()
    driver.wait()
    driver.stdout.close()
    child = bench.events()[-1]["pid"]
    until(lambda: not alive(child), 5)
    assert tables_before[0][2] == "0.9000" and tables_before[2][2] == "-"
    assert bench.table() == tables_before
    bench.plan()
    done = bench("fastflow")
    assert done.code == 0 and bench.ran() == ["bottle", "carpet", "apple", "apple", "zebra"]
    assert "--resume" in bench.events()[3]["given"] and "--resume" not in bench.events()[4]["given"]
    resumed = {row[1]: float(row[6]) for row in bench.table()}["apple"]
    assert 0 < resumed < 30


def test_mistakes_are_one_line(bench, tmp_path):
    for code, arguments in (
        (2, ("patchcore", "--device_ids", "0,0")),
        (2, ("patchcore", "--device_ids", "a")),
        (2, ("patchcore", "--", "--coreset_rati", "0.1")),
        (2, ("patchcore", "--", "--category", "bottle")),
        (2, ("padim", "--fastflow", "--lr 1")),
        (2, ("padim", "--padim", "'")),
        (2, ("nothing",)),
        (1, ("padim", "--pre_ckpt_path", tmp_path / "none.ckpt")),
        (1, ("fastflow", "--pre_ckpt_path", bench.data)),
        (1, ("padim", "--dataset_path", tmp_path / "none")),
    ):
        done = bench(*arguments)
        assert (done.code, len(done.errors)) == (code, 1), (arguments, done.err)
        if bench.data in arguments:
            assert f"fastflow: {bench.data / 'wide_resnet50_racm-8234f177.pth'}: no such file of weights" in done.err
    assert not bench.output.exists()
    assert run(full.main, "--help").code == 0
    shutil.rmtree(bench.root / "padim")
    assert bench("padim").code == 2


# With the methods themselves


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    """Two categories of 64 pixels."""
    folder = tmp_path_factory.mktemp("data")
    toydata.make(folder, train=4, test=2, size=64)
    return folder


def real(parts: Path, output: Path) -> list:
    method_flags = {name: " ".join(words) for name, words in SMALL_OPTIONS.items()}
    method_flags["fastflow"] += " --num_epochs 2 --flow_step 1"  # the last word counts
    command = [sys.executable, ROOT / "benchmarks" / "full.py", "all", "--dataset_path", parts, "--output_dir", output]
    command += ["--device_target", "CPU", "--pre_ckpt_path", "random", "--device_ids", "0,1"]
    for method, words in method_flags.items():
        command += [f"--{method}", words]
    return [str(word) for word in (*command, "--", "--pictures", "1")]


def without_seconds(output: Path) -> list:
    with open(output / "results.csv", newline="") as file:
        return [[cell for key, cell in row.items() if key != "seconds"] for row in csv.DictReader(file)]


def test_a_killed_run_goes_on_to_the_same_tables(parts, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    quick = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "tools" / "one_scale")}
    subprocess.run(real(parts, whole), check=True, stdout=subprocess.DEVNULL, env=quick)
    driver = subprocess.Popen(real(parts, killed), stdout=subprocess.DEVNULL, env=quick)

    def all_of(name: str) -> list:
        return sorted(killed.glob(f"*/train_*/{name}"))

    until(lambda: 0 < len(all_of("done.json")) < len(all_of("train.log")), 60)
    driver.kill()
    driver.wait()
    done = {path: path.with_name("train.log").stat().st_mtime_ns for path in all_of("done.json")}
    assert 0 < len(done) < 6
    after = subprocess.run(real(parts, killed), check=True, capture_output=True, text=True, env=quick)
    assert after.stdout.count("done before") == len(done)
    assert {path: path.with_name("train.log").stat().st_mtime_ns for path in done} == done
    assert without_seconds(killed) == without_seconds(whole)
    assert len(without_seconds(whole)) == 9
