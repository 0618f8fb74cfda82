"""The full benchmark, mostly with trainings that are a few lines of Python, and once with real ones."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import run
from test_methods import METHODS as SMALL_OPTIONS

from anomaly import toydata
from benchmarks import board, full, jobs, processes, tables

ROOT = Path(__file__).resolve().parents[1]
FAKE = """
import json, os, sys, time
from pathlib import Path
root, given = Path(__file__).resolve().parents[1], sys.argv[1:]
value = lambda name: given[given.index(name) + 1]
method, command, category = Path(__file__).parent.name, Path(__file__).stem, value("--category")
def event(what):
    known = {"what": what, "command": command, "method": method, "category": category, "pid": os.getpid()}
    known.update(device=value("--device_id"), time=time.time(), given=given, threads=os.environ.get("OMP_NUM_THREADS"))
    with open(root / "events", "a") as file:
        file.write(json.dumps(known) + "\\n")
event("start")
plan = root / "plan.json"
mine = json.loads(plan.read_text()).get(category, {}) if plan.is_file() else {}
print("half way", flush=True)
time.sleep(mine.get("sleep", 0))
if "error" in mine:
    sys.exit("error: " + mine["error"])
if "code" in mine:
    sys.exit(mine["code"])
folder = Path(value("--output_dir")) / category
folder.mkdir(parents=True, exist_ok=True)
figures = {"method": method, "category": category, "backbone": "wide_resnet50", "random_backbone": False, "remark": "",
    "img_auc": 0.9, "pixel_auc": 0.8, "aupro": None, "img_f1": 0.7, "images": [{"score": 1}]}
if command == "export":
    Path(value("--file_name")).parent.mkdir(parents=True, exist_ok=True)
    Path(value("--file_name")).write_text("model")
else:
    (folder / "results.json").write_text(json.dumps(figures))
if command == "train":
    (folder / "state.json").write_text("{}")
event("end")
"""


class Bench:
    """A project of such methods, and a data set of empty categories."""

    def __init__(self, folder: Path, categories: tuple):
        self.root, self.data, self.output = folder / "root", folder / "data", folder / "out"
        for method in jobs.METHODS:
            (self.root / method).mkdir(parents=True)
            for command in ("train", "export", "eval"):
                (self.root / method / f"{command}.py").write_text(FAKE)
        for category in categories:
            (self.data / category / "train" / "good").mkdir(parents=True)

    def plan(self, **categories):
        (self.root / "plan.json").write_text(json.dumps(categories))

    def arguments(self, method: str, *more) -> list:
        given = (method, "--dataset_path", self.data, "--output_dir", self.output, "--device_target", "CPU")
        given += ("--pre_ckpt_path", "random", *more)
        return [str(word) for word in given]

    def __call__(self, method: str, *more):
        return run(full.main, *self.arguments(method, *more))

    def start(self, method: str, *more) -> subprocess.Popen:
        program = (
            "import sys; sys.path.insert(0, sys.argv.pop(1)); from benchmarks import full; from pathlib import Path;"
        )
        program += "full.ROOT = Path(sys.argv.pop(1)); sys.exit(full.cli.guarded(full.main))"
        command = [sys.executable, "-c", program, str(ROOT), str(self.root), *self.arguments(method, *more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def events(self, what: str = "start") -> list:
        path = self.root / "events"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        return [event for event in found if event["what"] == what]

    def ran(self, what: str = "start") -> list:
        return [event["category"] for event in self.events(what)]

    def table(self, folder: str = ".") -> list:
        with open(self.output / folder / "results.csv", newline="") as file:
            return list(csv.reader(file))[1:]


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    made = Bench(tmp_path, ("zebra", "apple", "bottle", "carpet"))
    monkeypatch.setattr(full, "ROOT", made.root)
    return made


def until(condition, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# What was published


@pytest.mark.parametrize(
    ("method", "device", "means"),
    [
        ("patchcore", "Ascend", (0.9870, 0.9773)),
        ("patchcore", "GPU", (0.9842, 0.9772)),
        ("patchcore", "Ascend310", (0.9857, 0.9770)),
        ("padim", "Ascend", (0.9553, 0.9743)),
        ("padim", "Ascend310", (0.9553, 0.9743)),
        ("fastflow", "Ascend", (None, 0.9842)),
        ("fastflow", "GPU", (None, 0.9841)),
        ("fastflow", "Ascend310", (None, 0.9839)),
    ],
)
def test_published_tables_have_15_categories_and_the_means_that_they_state(method, device, means):
    table = tables.published()[method]["zoo"]["tables"][device]
    assert len(table["categories"]) == 15
    found = {key: tables.average(row.get(key) for row in table["categories"].values()) for key in tables.COMPARED}
    for value, expected in zip(found.values(), means):
        assert value == (None if expected is None else pytest.approx(expected, abs=1e-4))
    for key, stated in table.get("stated", {}).items():
        assert found[key] == pytest.approx(stated, abs=1e-4)


def test_the_order_of_categories_is_that_of_each_method_s_table():
    order = tables.order()
    assert order["patchcore"][:6] == ("carpet", "grid", "leather", "tile", "wood", "bottle")
    assert order["padim"] == order["fastflow"] == tuple(sorted(order["padim"]))
    assert jobs.ordered(["zebra", "bottle", "apple", "carpet"], order["patchcore"])[:2] == ["carpet", "bottle"]
    assert jobs.ordered(["zebra", "bottle", "apple", "carpet"], order["padim"]) == [
        "bottle",
        "carpet",
        "apple",
        "zebra",
    ]


# Tables


def test_tables_compare_with_what_was_published_and_agree_with_one_another(bench):
    done = bench("patchcore")
    assert done.code == 0, done.err
    rows = {row[1]: row[2:] for row in bench.table()}
    assert list(rows) == ["carpet", "bottle", "apple", "zebra", "mean"]
    assert rows["carpet"][:4] == ["0.9000", "0.8000", "-", "0.7000"]
    assert rows["carpet"][5:] == ["0.9896", "-0.0896", "0.9886", "-0.1886"]
    assert rows["apple"][5:] == ["-", "-", "-", "-"]
    assert rows["mean"][5:] == ["0.9948", "-0.0948", "0.9849", "-0.1849"]  # of carpet and bottle alone
    text = (bench.output / "results.md").read_text()
    printed = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    assert printed[2:] == [[name, *cells] for name, cells in rows.items()]
    assert "no figures of CPU were published" in text and text in done.out
    [part] = json.loads((bench.output / "results.json").read_text())["methods"]
    assert [tables.cells(row)[1:] for row in (*part["categories"], part["mean"])] == list(rows.values())


def test_a_method_that_is_left_alone_stays_in_the_tables(bench):
    assert bench("padim").code == 0
    before = bench.table()
    assert bench("fastflow").code == 0
    assert bench.table()[: len(before)] == before
    assert {row[0] for row in bench.table()} == {"padim", "fastflow"}


def test_tables_say_how_each_category_was_run(bench):
    assert bench("padim", "--", "--resize", "256").code == 0
    first = json.loads((bench.output / "results.json").read_text())["methods"][0]["run"]
    assert first == [f"data set {bench.data}; weights: random; options: --resize 256"]
    bench.plan(apple={"error": "no"})
    marker = bench.output / "padim" / "train_zebra" / "done.json"
    marker.write_text(marker.read_text().replace('"256"', '"288"'))  # as if it had been run otherwise
    assert bench("fastflow").code == 1
    text = (bench.output / "results.md").read_text()
    assert f"\nRun: zebra: data set {bench.data}; weights: random; options: --resize 288\n" in text
    assert f"\nRun: bottle, carpet, apple: {first[0]}\n" in text


def test_remarks_and_other_published_means_are_below_the_table():
    figures = {"img_auc": 0.5, "backbone": "resnet18 (random)", "random_backbone": True, "remark": "half of it"}
    part = tables.section(
        "fastflow", "GPU", [tables.Entry("bottle", figures, 2.0, {}), tables.Entry("cable", None, None, {})]
    )
    assert part["remarks"][0].startswith("RANDOM BACKBONE") and part["remarks"][1] == "half of it"
    assert "resnet18; the published table is of wide_resnet50" in part["remarks"][2]
    assert any("Paddle" in remark and "0.980" in remark for remark in part["remarks"])
    assert "RTX 3090" in part["published"]
    assert tables.cells(part["categories"][1]) == ["cable", "-", "-", "-", "-", "-", "-", "-", "0.9809", "-"]


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
    assert other.code == 0 and len(bench.ran()) == 6 and "its options have changed" in other.out
    assert bench("patchcore", "--fresh", "--patchcore", "--k 3", "--", "--seed", "3").code == 0
    assert len(bench.ran()) == 9
    marker = json.loads((bench.output / "patchcore/train_bottle/done.json").read_text())
    assert "images" not in marker["results"] and marker["seconds"] > 0
    assert "mindspore: " in (bench.output / "patchcore/train_bottle/env.log").read_text()


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
    bench.plan(**{name: {"sleep": 0.3} for name in ("carpet", "bottle", "apple", "zebra")})
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
    later = [event for event in bench.events() if event["command"] != "train"]
    assert [event["command"] for event in later] == ["export", "eval"] * 3
    assert [event["category"] for event in later[::2]] == ["bottle", "carpet", "apple"]
    assert "--pictures" in later[1]["given"] and "--pictures" not in later[0]["given"]
    model = str(bench.output / "onnx/padim/bottle/padim_bottle.onnx")
    assert model in later[0]["given"] and model in later[1]["given"]
    assert [row[1] for row in bench.table("onnx")] == ["bottle", "carpet", "apple", "mean"]
    assert (bench.output / "onnx/results.md").read_text().startswith("# Full benchmark of the models in ONNX on CPU\n")
    (bench.output / "padim/carpet/state.json").write_text("{ }")  # trained anew
    assert bench("all", "--task", "onnx", "--", "--pictures", "0").code == 0
    assert bench.ran()[-2:] == ["carpet", "carpet"] and len(bench.events()) == len(later) + 6


# How it ends


def test_a_second_benchmark_in_the_same_folder_is_refused(bench):
    bench.output.mkdir()
    with full.locked(bench.output):
        done = bench("padim")
    assert done.code == 1 and len(done.errors) == 1 and "another benchmark" in done.err
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
            assert f"fastflow: {bench.data / 'wide_resnet50_racm-8234f177.ckpt'}: no such file of weights" in done.err
    assert not bench.output.exists()
    assert run(full.main, "--help").code == 0
    for path in (bench.root / "padim").iterdir():
        path.unlink()
    assert bench("padim").code == 2


# The board


class Terminal:
    """Remembers what is written; `size` is what the system would tell of it."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def fileno(self):
        return 1

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def some_jobs(folder: Path, count: int = 3) -> list:
    return [jobs.Job("padim", f"c{i}", folder / f"train_c{i}", folder, (), {"task": "train"}) for i in range(count)]


def test_on_a_terminal_the_lines_are_drawn_in_place_and_fit(tmp_path, monkeypatch):
    size = SimpleNamespace(columns=40, lines=10)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    made, terminal = some_jobs(tmp_path), Terminal()
    shown = board.Board(made, 1, terminal)
    made[0].status, made[0].device, made[0].started = jobs.RUNNING, 0, time.time()
    made[0].folder.mkdir()
    made[0].log.write_text("first\n\x1b[1mbar 10%\rbar 50% of 深度深度深度深度深度深度深度\n")
    shown.changed(made[0])
    first = terminal.text.splitlines()
    assert len(first) == 4 and "\x1b[4F" not in terminal.text
    assert first[0].startswith("padim c0: running on device 0 for 0 s") and first[1].startswith("padim c1: waiting")
    assert all(len(line.replace("\x1b[K", "")) < 40 for line in first)
    shown.changed(made[0])
    assert terminal.text.count("\x1b[4F") == 1
    size.lines, drawn = 4, len(terminal.text)
    shown.refresh()
    shown.changed(made[0])
    assert terminal.text[drawn:] == "padim c0: running on device 0\n"


def test_the_time_left_is_judged_by_the_method_s_own_where_known(tmp_path):
    made = some_jobs(tmp_path, 4)
    assert board.left(made, 1, 0.0) is None
    made[0].status, made[0].seconds = jobs.DONE, 100.0
    made[1].status, made[1].started = jobs.RUNNING, 1000.0
    assert board.left(made, 1, 1030.0) == pytest.approx(70 + 2 * 100)
    assert board.left(made, 2, 1030.0) == pytest.approx(135)
    made[3].method = "fastflow"
    assert board.left(made, 1, 1030.0) == pytest.approx(270)
    made[2].status, made[2].method, made[2].seconds = jobs.DONE, "fastflow", 1000.0
    assert board.left(made, 1, 1030.0) == pytest.approx(70 + 1000)
    assert board.summary(made, 1, 1030.0) == "2 of 4 done, about 18 min left"
    assert [board.duration(s) for s in (7, 99.4, 100, 3580, 7500)] == [
        "7 s",
        "99 s",
        "2 min",
        "1 h 00 min",
        "2 h 05 min",
    ]


def test_elsewhere_each_start_and_end_is_a_line(bench):
    done = bench("patchcore")
    lines = done.out.splitlines()
    assert lines[0] == "patchcore carpet: running on device 0"
    assert lines[1].startswith(
        "patchcore carpet: done, image AUROC 0.9000, pixel AUROC 0.8000, 0 s   (1 of 4 done, about"
    )
    assert "\x1b" not in done.out


def test_a_log_s_end_is_found_wherever_a_reader_begins(tmp_path):
    log = tmp_path / "log"
    log.write_text("error: old\n")
    offset = log.stat().st_size
    log.write_text(log.read_text() + "x" * 2 * processes.TAIL + "\nlast\n")
    assert processes.tail(log, offset)[-1] == "last" and "error: old" not in processes.tail(log, offset)
    assert processes.tail(tmp_path / "none") == []


# With the methods themselves


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    """Three categories of 64 pixels."""
    folder = tmp_path_factory.mktemp("data")
    toydata.make(folder, train=4, test=2, size=64, seed=1, categories=("gear",))
    (folder / "gear").rename(folder / "wheel")
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
    subprocess.run(real(parts, whole), check=True, stdout=subprocess.DEVNULL)
    driver = subprocess.Popen(real(parts, killed), stdout=subprocess.DEVNULL)

    def all_of(name: str) -> list:
        return sorted(killed.glob(f"*/train_*/{name}"))

    until(lambda: 0 < len(all_of("done.json")) < len(all_of("train.log")), 60)
    driver.kill()
    driver.wait()
    done = {path: path.with_name("train.log").stat().st_mtime_ns for path in all_of("done.json")}
    assert 0 < len(done) < 9
    after = subprocess.run(real(parts, killed), check=True, capture_output=True, text=True)
    assert after.stdout.count("done before") == len(done)
    assert {path: path.with_name("train.log").stat().st_mtime_ns for path in done} == done
    assert without_seconds(killed) == without_seconds(whole)
    assert len(without_seconds(whole)) == 12
