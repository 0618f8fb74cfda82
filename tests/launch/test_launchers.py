"""The launchers check, show, start, log and end the programs as their headers say."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import listing
from shell import ROOT, alive, command, environment, program, run, until

TARGETS = {"ascend": "Ascend", "gpu": "GPU", "cpu": "CPU"}
METHODS = ("patchcore", "padim", "fastflow")
TRAIN = [f"run_standalone_train_{device}.sh" for device in TARGETS]
EVAL = [f"run_eval_{device}.sh" for device in TARGETS]
DISTRIBUTE = [f"run_distribute_train_{device}.sh" for device in TARGETS]
ALL = ["run_all_mvtec.sh", *(f"run_all_mvtec_{device}.sh" for device in TARGETS)]
ONNX = ["run_all_mvtec_onnx.sh"]
ONE = TRAIN + EVAL
COMPARE = "compare.sh"
LAUNCHERS = ONE + DISTRIBUTE + ALL + ONNX
CPU_TRAIN, CPU_EVAL, CPU_DISTRIBUTE = TRAIN[-1], EVAL[-1], DISTRIBUTE[-1]

# Stands for Python, and for msrun: it finds a GPU, really runs other short programs, and of files shows the arguments.
FAKE = f"""
if [[ "${{2:-}}" == *device.best* ]]; then printf 'a remark\\nGPU\\n'; exit "${{CODE:-0}}"; fi
if [[ "${{1:-}}" == -c ]]; then exec {shlex.quote(sys.executable)} "$@"; fi
trap 'echo stopping at INT; sleep 0.3; echo saved; exit 5' INT
trap 'echo stopping at TERM; sleep 0.3; echo saved; exit 5' TERM
printf '%s\\n' "$@" "threads: ${{OMP_NUM_THREADS:-}}" "found: $(command -v python3)"
echo "a warning" >&2
for ((i = 0; i < ${{SECONDS_TO_RUN:-0}} * 20; i++)); do sleep 0.05; done
exit "${{CODE:-0}}"
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """Where a user might stand: data, weights and an environment, all with spaces in their paths."""
    (tmp_path / "my photos" / "big gear" / "train" / "good").mkdir(parents=True)
    (tmp_path / "my weights.ckpt").write_text("weights")
    program(tmp_path / "my env" / "bin" / "python", FAKE)
    program(tmp_path / "my env" / "bin" / "msrun", FAKE)
    return tmp_path


def arguments(name: str, method: str = "patchcore", data="my photos", weights="my weights.ckpt") -> list:
    if name in ONNX:
        return [method, data]
    category = [] if name in ALL else ["big gear"]
    return [method, data, weights, *category, *(["2"] if name in DISTRIBUTE else [])]


def fake(place: Path) -> Path:
    return place / "my env" / "bin" / "python"


def launch(place: Path, name: str, *words, **variables) -> subprocess.CompletedProcess:
    variables.setdefault("PYTHON", fake(place))
    return run(name, *words, cwd=place, **variables)


def shown(done: subprocess.CompletedProcess) -> tuple:
    """The variables and the words of what --dry_run shows."""
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    return dict(shlex.split(line)[0].split("=", 1) for line in lines), shlex.split(last)


def launcher_target(name: str) -> str:
    return TARGETS[name.removesuffix(".sh").rpartition("_")[2]]


WRONG = [
    ("nothing", lambda good: []),
    ("too few", lambda good: good[:1]),
    ("too many", lambda good: [*good, *["0"] * 4]),
    ("a method that is none", lambda good: ["resnet", *good[1:]]),
    ("an option that is none", lambda good: [*good, "--quick"]),
    ("an option of train.py without --", lambda good: [*good, "--lr", "1"]),
    ("an empty argument", lambda good: [good[0], "", *good[2:]]),
]


@pytest.mark.parametrize("change", [change for _, change in WRONG], ids=[name for name, _ in WRONG])
@pytest.mark.parametrize("name", LAUNCHERS)
def test_wrong_arguments_give_code_2_and_the_usage(place, name, change):
    assert_usage(launch(place, name, *change(arguments(name))), name)


def assert_usage(done: subprocess.CompletedProcess, name: str):
    assert (done.returncode, done.stdout) == (2, "")
    first, usage = done.stderr.split("\n", 1)
    assert first.startswith("error: ")
    assert usage.startswith(f"Usage: bash scripts/{name} ")


@pytest.mark.parametrize("number", ["first", "1x", "0,a", "-1"])
@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_device_is_a_number(place, name, number):
    words = arguments(name)[:-1] if name in DISTRIBUTE else arguments(name)
    assert_usage(launch(place, name, *words, *(["my photos"] if name in ONNX else []), number), name)


@pytest.mark.parametrize(
    "more",
    [
        ("--node_num", "2"),
        ("--node_num", "2", "--master_addr", "10.0.0.1", "--node_rank", "2"),
        ("--node_num", "0"),
        ("--node_num",),
        ("--master_port", "http"),
        ("--master_port", "--dry_run"),
    ],
)
def test_machines_that_do_not_fit_together_are_refused(place, more):
    assert_usage(launch(place, CPU_DISTRIBUTE, *arguments(CPU_DISTRIBUTE), *more), CPU_DISTRIBUTE)


def test_no_processes_are_too_few(place):
    assert_usage(launch(place, CPU_DISTRIBUTE, *arguments(CPU_DISTRIBUTE)[:-1], "0"), CPU_DISTRIBUTE)


@pytest.mark.parametrize("category", ["../my photos", "big gear/", ".."])
def test_a_category_is_no_path(place, category):
    assert_usage(launch(place, CPU_TRAIN, "patchcore", "my photos", "random", category), CPU_TRAIN)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_data_that_are_not_there_are_named_and_nothing_is_started(place, name):
    assert_missing(place, name, arguments(name, data="no photos"), "no photos: no such folder")


@pytest.mark.parametrize("name", ONE + DISTRIBUTE + ALL)
def test_weights_that_are_not_there_are_named_and_nothing_is_started(place, name):
    assert_missing(place, name, arguments(name, weights="no weights"), "no weights: no such file")


@pytest.mark.parametrize("name", ONE + DISTRIBUTE)
def test_a_category_that_is_not_there_is_named_and_nothing_is_started(place, name):
    words = arguments(name)
    words[3] = "nut"
    assert_missing(place, name, words, "my photos/nut: no such folder")


def test_trained_results_that_are_not_there_are_named(place):
    assert_missing(place, ONNX[0], ["all", "my photos", "results"], "results: no such folder")


def assert_missing(place: Path, name: str, words: list, message: str):
    before = listing(place)
    done = launch(place, name, *words, "--", "--output_dir", "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1
    assert listing(place) == before


@pytest.mark.parametrize("name", TRAIN + DISTRIBUTE + ALL)
def test_weights_may_be_a_folder_of_them(place, name):
    _, words = shown(launch(place, name, *arguments(name, weights="my env"), "--dry_run"))
    assert words[words.index("--pre_ckpt_path") + 1] == "my env"


def test_an_untrained_network_cannot_be_evaluated_by_fastflow(place):
    done = launch(place, CPU_EVAL, *arguments(CPU_EVAL, "fastflow", weights="random"), "--dry_run")
    assert (done.returncode, done.stderr) == (1, "error: random: no such file\n")


def test_a_python_that_is_not_there_is_named(place):
    done = launch(place, CPU_TRAIN, *arguments(CPU_TRAIN), "--dry_run", PYTHON="no python")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no python: no such program")


def test_a_python_without_mindspore_is_named(place):
    program(place / "bare" / "python", f'exec {shlex.quote(sys.executable)} -S "$@"')
    done = launch(place, CPU_TRAIN, *arguments(CPU_TRAIN), "--dry_run", PYTHON="bare/python")
    assert done.returncode == 1
    assert done.stderr == "error: bare/python: mindspore is not installed there; PYTHON names the Python to use\n"


def test_a_python_without_msrun_beside_it_is_named(place):
    program(place / "bare" / "python", FAKE)
    done = launch(place, CPU_DISTRIBUTE, *arguments(CPU_DISTRIBUTE), "--dry_run", PYTHON="bare/python")
    assert (done.returncode, done.stderr) == (1, "error: bare/msrun: no such file\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("more", [[], ["--background"]])
@pytest.mark.parametrize("name", [CPU_TRAIN, CPU_EVAL, CPU_DISTRIBUTE])
def test_a_full_disk_is_said(place, name, more):
    folder = place / "out" / f"{'eval' if name == CPU_EVAL else 'train'}_big gear"
    folder.mkdir(parents=True)
    (folder / "env.log").symlink_to("/dev/full")
    done = launch(place, name, *arguments(name), *more, "--", "--output_dir", "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: out/{folder.name}/env.log: cannot be written")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", TRAIN + EVAL)
def test_the_command_of_one_process(place, name, method):
    before = listing(place)
    done = launch(place, name, *arguments(name, method), "3", "--dry_run", "--", "--seed", "2 or 3")
    variables, words = shown(done)
    kind = "train" if name in TRAIN else "eval"
    weights = "--ckpt_path" if (kind, method) == ("eval", "fastflow") else "--pre_ckpt_path"
    assert words == [
        *(str(fake(place)), f"{ROOT}/{method}/{kind}.py", "--dataset_path", "my photos", weights, "my weights.ckpt"),
        *("--category", "big gear", "--device_target", launcher_target(name), "--device_id", "3", "--seed", "2 or 3"),
    ]
    assert variables == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert done.stderr == ""
    assert listing(place) == before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", DISTRIBUTE)
def test_the_command_of_several_processes(place, name, method):
    nodes = ("--master_addr", "10.0.0.1", "--master_port=4000", "--node_rank", "1", "--node_num", "4")
    done = launch(place, name, *arguments(name, method), *nodes, "--dry_run", "--", "--save_path", "my out", "--lr=1")
    variables, words = shown(done)
    assert words == [
        *(f"{place}/my env/bin/msrun", "--worker_num=8", "--local_worker_num=2", "--master_port=4000"),
        *("--master_addr=10.0.0.1", "--node_rank=1", "--join=True", "--log_dir=my out/train_big gear", "python3"),
        *(f"{ROOT}/{method}/train.py", "--dataset_path", "my photos", "--pre_ckpt_path", "my weights.ckpt"),
        *("--category", "big gear", "--device_target", launcher_target(name), "--save_path", "my out", "--lr=1"),
    ]
    assert variables["PATH"].startswith(f"{place}/my env/bin:")
    threads = variables.get("OMP_NUM_THREADS")
    assert threads == (str(max(len(os.sched_getaffinity(0)) // 2, 1)) if name == CPU_DISTRIBUTE else None)
    assert not (place / "my out").exists()


def test_one_machine_takes_a_port_that_is_free_and_several_the_usual_one(place):
    ports = []
    for more in ((), (), ("--node_num", "2", "--master_addr", "10.0.0.1")):
        words = shown(launch(place, CPU_DISTRIBUTE, *arguments(CPU_DISTRIBUTE), *more, "--dry_run"))[1]
        ports.append(int(next(word for word in words if word.startswith("--master_port=")).partition("=")[2]))
    assert 1024 <= ports[0] <= 65535 and ports[0] != ports[1]
    assert ports[2] == 8118


@pytest.mark.parametrize("method", [*METHODS, "all"])
@pytest.mark.parametrize("name", ALL)
def test_the_command_of_all_categories(place, name, method):
    flags = ("--num_epochs", "3", "--output_dir", "my out", "--config", "a b.yaml")
    variables, words = shown(launch(place, name, *arguments(name, method), "0,1", "--fresh", "--dry_run", "--", *flags))
    target = "GPU" if name == "run_all_mvtec.sh" else launcher_target(name)
    assert words == [
        *(str(fake(place)), f"{ROOT}/benchmarks/full.py", method, "--dataset_path", "my photos"),
        *("--device_target", target, "--device_ids", "0,1", "--pre_ckpt_path", "my weights.ckpt"),
        *("--output_dir", "my out", "--fresh", "--", "--num_epochs", "3", "--config", "a b.yaml"),
    ]
    assert ("OMP_NUM_THREADS" in variables) == (target == "CPU")


def test_the_best_device_is_the_one_that_the_commands_would_take(place):
    from anomaly.run import device

    words = shown(
        launch(place, "run_all_mvtec.sh", *arguments("run_all_mvtec.sh"), "--dry_run", PYTHON=sys.executable)
    )[1]
    assert words[words.index("--device_target") + 1] == device.best()


def test_without_a_device_there_is_no_best_one(place):
    done = launch(place, "run_all_mvtec.sh", *arguments("run_all_mvtec.sh"), "--dry_run", CODE=1)
    assert (done.returncode, done.stdout) == (1, "")
    assert "finds no device" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("weights", ["random", "my env", "my weights.ckpt"])
def test_all_categories_take_weights_from_a_file_a_folder_or_nowhere(place, weights):
    words = shown(launch(place, ALL[-1], "all", "my photos", weights, "--dry_run"))[1]
    assert words[-2:] == ["--pre_ckpt_path", weights]
    assert words[words.index("--device_ids") + 1] == "0"


def test_the_command_of_onnx(place):
    (place / "results").mkdir()
    full = [str(fake(place)), f"{ROOT}/benchmarks/full.py", "padim", "--dataset_path", "my photos"]
    words = shown(launch(place, ONNX[0], "padim", "my photos", "--dry_run"))[1]
    assert words == [*full, "--device_target", "CPU", "--device_ids", "0", "--task", "onnx"]
    words = shown(launch(place, ONNX[0], "padim", "my photos", "results", "1", "--fresh", "--dry_run", "--", "--x"))[1]
    more = ["--task", "onnx", "--output_dir", "results", "--fresh", "--", "--x"]
    assert words == [*full, "--device_target", "CPU", "--device_ids", "1", *more]


@pytest.mark.parametrize("name", TRAIN + EVAL + DISTRIBUTE)
def test_own_folders_stand_in_the_place_of_a_data_set(place, name):
    (place / "-odd").mkdir()
    own = ("--good", "my photos", "--good=-odd", "--bad", "my photos/*/nok", "--masks", "my env")
    last = ["2"] if name in DISTRIBUTE else ["0"]
    words = shown(launch(place, name, "padim", *own, "my weights.ckpt", "lid", *last, "--dry_run"))[1]
    given = ["--good=my photos", "--good=-odd", "--bad=my photos/*/nok", "--masks=my env"]
    start = words.index(given[0])
    assert words[start : start + 8] == [*given, "--pre_ckpt_path", "my weights.ckpt", "--category", "lid"]
    assert "--dataset_path" not in words
    with_both = launch(place, name, "padim", *own, "my photos", "my weights.ckpt", "lid", *last, "1")
    assert_usage(with_both, name)
    assert_missing(place, name, ["padim", "--good", "no photos", "random", "lid", *last], "no photos: no such file")


def test_the_command_of_a_comparison(place):
    before = listing(place)
    start = ["env", f"PYTHONPATH={ROOT}", str(fake(place)), "-m", "anomaly", "compare"]
    flags = ("--methods", "padim,patchcore", "--output_dir", "my out")
    done = launch(place, COMPARE, "my photos", "big gear", "random", "--dry_run", "--", *flags, PYTHONPATH="")
    category = ["--category", "big gear"]
    assert shown(done)[1] == [
        *(
            *start,
            "--dataset_path",
            "my photos",
            *category,
            "--pre_ckpt_path",
            "random",
            "--device_target",
            "GPU",
            *flags,
        )
    ]
    own = ("--good", "my photos", "--bad", "my env")
    done = launch(place, COMPARE, *own, "big gear", "--dry_run", "--", "--device_target", "CPU", PYTHONPATH="/mine")
    start[1] += ":/mine"
    target = ["--device_target", "CPU"]
    assert shown(done)[1] == [*start, "--good=my photos", "--bad=my env", *category, *target]
    assert listing(place) == before


@pytest.mark.parametrize(
    "words",
    [(), ("my photos",), ("my photos", "big gear", "random", "more"), ("my photos", "..", "random"), ("--lr", "1")],
)
def test_a_wrong_comparison_gives_the_usage(place, words):
    assert_usage(launch(place, COMPARE, *words), COMPARE)


def test_a_comparison_names_what_is_missing_and_logs_what_it_runs(place):
    for words, message in (
        (["no photos", "lid"], "no photos: no such folder"),
        (["my photos", "lid"], "my photos/lid: no such folder"),
        (["my photos", "big gear", "no weights"], "no weights: no such file"),
        (["--good", "no photos", "lid"], "no photos: no such file"),
    ):
        assert_missing(place, COMPARE, words, message)
    done = launch(
        place, COMPARE, "my photos", "big gear", "--", "--output_dir", "my out", "--device_target", "CPU", CODE=3
    )
    assert done.returncode == 3 and "compare" in (place / "my out" / "compare.log").read_text()
    assert "-m anomaly compare" in (place / "my out" / "env.log").read_text()


def test_a_script_can_be_named_from_anywhere(place):
    script = os.path.relpath(ROOT / "scripts" / CPU_TRAIN, place)
    done = subprocess.run(
        ["bash", script, "padim", "my photos", "random", "all", "--dry_run"],
        cwd=place,
        env=environment(PYTHON=fake(place)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown(done)[1][1] == f"{ROOT}/padim/train.py"


def test_without_a_choice_the_python_is_the_projects_own_or_the_systems(place):
    words = shown(launch(place, CPU_TRAIN, *arguments(CPU_TRAIN), "--dry_run", PYTHON=""))[1]
    own = ROOT / ".venv" / "bin" / "python"
    assert words[0] == (str(own) if own.is_file() else "python3")


def test_what_the_user_has_set_is_left_alone(place):
    own = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "OMP_NUM_THREADS": "7"}
    variables, _ = shown(launch(place, CPU_DISTRIBUTE, *arguments(CPU_DISTRIBUTE), "--dry_run", **own))
    assert not variables.keys() & own.keys()


def test_ascends_own_settings_are_read(place):
    home = place / "toolkit" / "latest"
    home.mkdir(parents=True)
    # Like the real one, it uses variables that may not be set, and ends with a test that may fail.
    (place / "toolkit" / "set_env.sh").write_text('export ASCEND_OPP_PATH="/opp dir$NOT_SET"; false; [ -d /nowhere ]')
    for name in (TRAIN[0], DISTRIBUTE[0], ALL[1]):
        done = launch(place, name, *arguments(name), "--dry_run", ASCEND_HOME_PATH=home)
        assert shown(done)[0]["ASCEND_OPP_PATH"] == "/opp dir"
    done = launch(place, TRAIN[1], *arguments(TRAIN[1]), "--dry_run", ASCEND_HOME_PATH=home)
    assert "ASCEND_OPP_PATH" not in shown(done)[0]


def test_the_libraries_of_cuda_go_before_what_is_set(place):
    (place / "cuda" / "lib64").mkdir(parents=True)
    settings = {"CUDA_HOME": place / "cuda", "LD_LIBRARY_PATH": "/mine"}
    variables, _ = shown(launch(place, TRAIN[1], *arguments(TRAIN[1]), "--dry_run", **settings))
    assert variables["LD_LIBRARY_PATH"] == f"{place}/cuda/lib64:/mine"
    assert "LD_LIBRARY_PATH" not in shown(launch(place, CPU_TRAIN, *arguments(CPU_TRAIN), "--dry_run", **settings))[0]


@pytest.mark.parametrize("name", ONE)
def test_a_run_is_shown_and_logged_and_its_exit_code_is_passed_on(place, name):
    done = launch(place, name, *arguments(name), "--", "--output_dir", "first", "--output_dir=my out", CODE=7)
    kind = "train" if name in TRAIN else "eval"
    folder = place / "my out" / f"{kind}_big gear"
    assert done.returncode == 7
    assert done.stdout == (folder / f"{kind}.log").read_text()
    assert done.stdout.startswith(f"{ROOT}/patchcore/{kind}.py\n") and done.stdout.endswith("a warning\n")
    assert done.stderr == ""
    described = (folder / "env.log").read_text()
    for part in ("date: 2", "host: ", "big\\ gear", "ONEDNN_MAX_CPU_ISA=AVX2", "numpy=="):
        assert part in described
    assert not (place / "first").exists()


def test_success_is_passed_on_too(place):
    assert launch(place, CPU_TRAIN, *arguments(CPU_TRAIN), "--", "--output_dir", "out").returncode == 0


def test_a_folder_that_cannot_be_written_is_named(place):
    (place / "file").touch()
    done = launch(place, CPU_TRAIN, *arguments(CPU_TRAIN), "--", "--output_dir", "file")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: file/train_big gear: cannot be written\n"


def test_if_msrun_fails_its_code_is_passed_on_and_the_last_lines_of_the_workers_are_shown(place):
    # Like the real one, it writes the workers' logs; those of an earlier run with more workers are not to be taken.
    program(fake(place).with_name("msrun"), 'echo "error: no data" >"my out/train_big gear/worker_1.log"; exit 3')
    old = place / "my out" / "train_big gear" / "worker_2.log"
    old.parent.mkdir(parents=True)
    old.write_text("of an earlier run")
    done = launch(place, CPU_DISTRIBUTE, *arguments(CPU_DISTRIBUTE), "--", "--output_dir", "my out")
    assert done.returncode == 3
    assert "worker_1.log ends with:\nerror: no data" in done.stdout
    assert "of an earlier run" not in done.stdout
    assert done.stdout == (old.parent / "train.log").read_text()


def test_msrun_finds_the_python_that_was_chosen(place):
    program(fake(place).with_name("python3"), FAKE)
    done = launch(place, CPU_DISTRIBUTE, *arguments(CPU_DISTRIBUTE), "--", "--output_dir", "my out")
    assert f"found: {place}/my env/bin/python3\n" in done.stdout


def contains(path: Path, text: str) -> bool:
    return path.is_file() and text in path.read_text()


@pytest.mark.parametrize("name", [CPU_TRAIN, CPU_EVAL, CPU_DISTRIBUTE, ALL[-1], ONNX[0]])
def test_in_the_background_it_says_where_it_is_and_can_be_ended(place, name):
    begin = time.monotonic()
    done = launch(place, name, *arguments(name), "--background", "--", "--output_dir", "my out", SECONDS_TO_RUN=60)
    assert time.monotonic() - begin < 20
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    pid, log = int(said["pid"]), Path(said["log"])
    try:
        assert log.is_relative_to(place / "my out") and contains(log.with_name("env.log"), "packages:")
        until(lambda: contains(log, "a warning"))
        os.kill(pid, signal.SIGHUP)  # as when the terminal is closed
        time.sleep(0.3)
        assert alive(pid)
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid))
        assert contains(log, "stopping at") and contains(log, "saved\n")
    finally:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_the_log_of_a_full_benchmark_keeps_what_it_held(place):
    log = place / "out/run_all_padim/full.log"
    for number in (1, 2):
        launch(place, ALL[-1], *arguments(ALL[-1], "padim"), "--background", "--", "--output_dir", "out")
        until(lambda n=number: log.is_file() and log.read_text().count("a warning") == n)
    assert log.read_text().count("\n== 20") == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", [CPU_TRAIN, CPU_DISTRIBUTE])
def test_a_signal_ends_the_program_which_may_still_save(place, name, number, code):
    with subprocess.Popen(
        command(name, *arguments(name), "--", "--output_dir", "my out"),
        cwd=place,
        env=environment(PYTHON=fake(place), SECONDS_TO_RUN=60),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        until(lambda: contains(place / "my out" / "train_big gear" / "train.log", "a warning"))
        os.killpg(process.pid, number)  # as Ctrl-C does, to all of the terminal's group
        out = process.communicate(timeout=20)[0]
    assert process.returncode == code
    expected = "INT" if name == CPU_DISTRIBUTE else number.name.removeprefix("SIG")  # msrun only knows INT
    assert out.count("stopping") == 1 and f"stopping at {expected}\nsaved\n" in out


@pytest.mark.parametrize("more", [[], ["--background"]])
@pytest.mark.parametrize("name", [CPU_TRAIN, CPU_DISTRIBUTE])
def test_a_launcher_that_is_killed_leaves_no_program_running(place, name, more):
    with subprocess.Popen(
        command(name, *arguments(name), *more, "--", "--output_dir", "my out"),
        cwd=place,
        env=environment(PYTHON=fake(place), SECONDS_TO_RUN=60),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        pid = int(process.stdout.readline().removeprefix("pid: ")) if more else process.pid
        log = place / "my out" / "train_big gear" / "train.log"
        until(lambda: contains(log, "a warning"))
        os.kill(pid, signal.SIGKILL)
        expected = "INT" if name == CPU_DISTRIBUTE else "TERM"
        until(lambda: contains(log, f"stopping at {expected}\nsaved\n"))


def test_all_categories_are_the_process_of_the_script(place):
    with subprocess.Popen(
        command(ALL[-1], *arguments(ALL[-1])),
        cwd=place,
        env=environment(PYTHON=fake(place), SECONDS_TO_RUN=60),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == f"{ROOT}/benchmarks/full.py\n"
        assert str(fake(place)) in Path(f"/proc/{process.pid}/cmdline").read_text()
        process.terminate()
        assert process.wait(timeout=20) == 5


SMALL = ("--backbone", "resnet18", "--resize", "64", "--crop", "none")


def test_a_category_is_trained_and_evaluated(toy, tmp_path):
    folder = tmp_path / "a place"
    folder.mkdir()
    (folder / "drawn photos").symlink_to(toy)
    words = ("patchcore", "drawn photos", "random", "gear")
    options = ("--", "--output_dir", "my out")
    run_options = {"cwd": folder, "timeout": 240, "PYTHON": sys.executable}
    trained = run(CPU_TRAIN, *words, *options, *SMALL, "--coreset_ratio", "0.2", **run_options)
    assert trained.returncode == 0, trained.stdout
    judged = run(CPU_EVAL, *words, "0", *options, **run_options)
    assert judged.returncode == 0, judged.stdout
    figures = [line for line in trained.stdout.splitlines() if line.startswith("img_auc: ")]
    assert figures and figures[0] in judged.stdout.splitlines()
    assert contains(folder / "my out" / "train_gear" / "train.log", figures[0])
    assert contains(folder / "my out" / "eval_gear" / "eval.log", figures[0])


def test_two_processes_train_together(toy, tmp_path):
    folder = tmp_path / "a place"
    folder.mkdir()
    sizes = ("--flow_step", "1", "--hidden_ratio", "0.25", "--train_batch_size", "4", "--num_epochs", "2")
    flags = ("--", "--output_dir", "my out", *SMALL, *sizes)
    words = ("fastflow", toy, "random", "gear", "2")
    done = run(CPU_DISTRIBUTE, *words, *flags, cwd=folder, timeout=240, PYTHON=sys.executable)
    assert done.returncode == 0, done.stdout[-3000:]
    logs = folder / "my out" / "train_gear"
    assert {"env.log", "train.log", "worker_0.log", "worker_1.log", "scheduler.log"} <= {p.name for p in logs.iterdir()}
    assert (folder / "my out" / "gear" / "fastflow_gear.ckpt").is_file()
    assert (folder / "my out" / "gear" / ".train.1.log").is_file()  # the second was a part of it
