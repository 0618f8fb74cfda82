"""The benchmark against other systems, with programs that are a few lines of Python in place of all of them."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from commands import run
from shell import ROOT, alive, until

from anomaly.data import toydata
from anomaly.run.errors import DataError, UsageError
from benchmarks.peers import bench, environments, measured, photographs, report, weights
from benchmarks.peers.plan import OURS, Case, choose, compared, growth
from benchmarks.peers.systems import PEERS, WEIGHTS, Ours

METHODS = {OURS: Ours.methods, **{name: methods for name, (methods, _) in PEERS.items()}}
NOTE = """
import json, sys, time
from pathlib import Path
def note(root, who, step):
    with open(root / "events", "a") as file:
        file.write(f"{who} {step}\\n")
    plan = json.loads((root / "plan.json").read_text()).get(f"{who} {step}", {})
    time.sleep(plan.get("sleep", 0))
    if "code" in plan:
        print("half way")
        sys.exit(plan["code"])
"""
FAKE_OURS = (
    NOTE
    + """
given, step = sys.argv[1:], Path(__file__).stem
value = lambda name: given[given.index(name) + 1]
note(Path(__file__).parents[1], "ours", "photo_onnx" if "--model_path" in given else step)
if step == "export":
    Path(value("--file_name")).write_bytes(bytes(3000))
if step == "train":
    data = Path(value("--dataset_path"))
    assert len(list(data.glob("*/train/good/*.png"))) in (1, 2, 4) and len(list(data.glob("*/test/*/*.png"))) == 1
    assert not any(path.is_symlink() for path in data.rglob("*"))  # a peer leaves those out
    folder = Path(value("--output_dir")) / value("--category")
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"files": {"bank": "checksum"}}))
    (folder / "bank").write_bytes(bytes(1000))
    (folder / "results.json").write_text(json.dumps({"images": [1, 2, 3, 4], "img_auc": 0.75}))
    print("training:  50%|#####     |\\repoch 1 of 2: loss 2.5, 1.50 s\\nepoch 2 of 2: loss 1.5, kept, 2.50 s")
    print("time: features 0.1 s, evaluation 2.0 s; total 2.1 s; peak memory 0.1 GB")
"""
)
FAKE_PEER = (
    NOTE
    + """
step, unit = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
name = Path(__file__).stem.removeprefix("with_")
note(Path(__file__).parent, name, step)
found = {"evaluation": 5.0, "images": 4, "img_auc": 0.5, "state_bytes": 10_000} if step == "train" else {}
(Path(unit["folder"]) / f"{step}.json").write_text(json.dumps(found))
"""
)


class Fakes:
    """A project, its peers and its data, and what was asked of them."""

    def __init__(self, root: Path):
        self.root, self.output = root, root / "out"
        for name in ("train", "export", "predict"):
            self.program(root / "patchcore" / f"{name}.py", FAKE_OURS)
        self.program(root / "pretrained" / "pthtockpt.py", "import sys; open(sys.argv[4], 'w')")
        for name in PEERS:
            self.program(root / f"with_{name}.py", FAKE_PEER)
        for name in WEIGHTS.values():
            self.program(root / "weights" / f"{name}.pth", "weights")
        for name in ("train/good/0", "train/good/1", "train/good/2", "train/good/3", "test/good/0"):
            self.program(root / "data" / "part" / f"{name}.png", "photograph")
        self.plan()

    @staticmethod
    def program(path: Path, text: str):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def plan(self, **steps):
        known = {name.replace("_", " ", 1): step for name, step in steps.items()}
        (self.root / "plan.json").write_text(json.dumps(known))

    def __call__(self, *more):
        given = ("--data", self.root / "data", "--category", "part", "--weights", self.root / "weights")
        return run(bench.main, *given, "--quick", "--output", self.output, *more)

    def events(self) -> list:
        path = self.root / "events"
        return path.read_text().splitlines() if path.is_file() else []

    def table(self) -> dict:
        """The first table of results.md: title -> cells."""
        lines = (self.output / "results.md").read_text().partition("\n## ")[2].splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
        return {row[0]: row[1:] for row in rows}

    def seconds(self, system: str, step: str = "train") -> list:
        runs = json.loads((self.output / "results.json").read_text())["runs"]
        return [steps[step]["seconds"] for key, steps in runs.items() if key.split("/")[1] == system]


@pytest.fixture
def fakes(tmp_path, monkeypatch) -> Fakes:
    made = Fakes(tmp_path)
    monkeypatch.setattr(bench, "SOURCE", tmp_path)
    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setattr(environments, "ensure", lambda name, folder: Path(sys.executable))
    monkeypatch.setattr(environments, "versions", lambda name, python: {name: "1.0"})
    monkeypatch.setattr(measured, "PAUSE", 0.002)
    return made


ALL_OF_ONE = ["ours train", "ours export", "ours predict", "ours photo_onnx"]
PEERS_TURNS = [
    *("anomalib train", "anomalib export", "anomalib photo"),
    *("anomavision train", "anomavision photo"),
]


# What is planned


def test_systems_take_turns_at_a_case_and_none_is_asked_for_what_it_lacks():
    units = choose(list(METHODS), quick=False, only=[], repeats=2).units(METHODS)
    first = [(unit.system, unit.repeat) for unit in units if unit.case == Case("patchcore")]
    assert first == [(name, repeat) for repeat in (0, 1) for name in ("ours", "anomalib", "anomavision")]
    assert {unit.system for unit in units if unit.case.method == "fastflow" and not unit.alone} == {"ours", "anomalib"}
    assert len({unit.key for unit in units}) == len(units)
    assert {unit.system for unit in units if unit.alone} == {"ours"}


def test_what_is_quick_is_a_part_of_the_whole_and_the_rest_is_named():
    assert set(compared(True)) < set(compared(False))
    for title, cases in growth(True).items():
        assert set(cases) < set(growth(False)[title])
    runs = [
        {unit.key: {"train": {}} for unit in choose(list(METHODS), quick=quick, only=[], repeats=1).units(METHODS)}
        for quick in (True, False)
    ]
    wide = [case.name for case in compared(False) if case.network == "wide_resnet50"]
    missing = report.left_out(runs[0], list(PEERS))
    assert missing[:4] == wide and "growth with the coreset: 25 %" in missing
    assert report.left_out(runs[1], list(PEERS)) == []
    assert report.left_out({}, list(PEERS))[:2] == list(PEERS)


@pytest.mark.parametrize(
    ("words", "systems", "labels", "tables"),
    [
        (["anomalib"], ("ours", "anomalib"), ["patchcore-1", "patchcore-10", "padim", "fastflow"], False),
        (["patchcore"], ("ours", "anomalib", "anomavision"), ["patchcore-1", "patchcore-10"], False),
        (["patchcore-10", "anomavision"], ("ours", "anomavision"), ["patchcore-10"], False),
        (["growth"], ("ours", "anomalib", "anomavision"), [], True),
        (["growth", "padim"], ("ours", "anomalib", "anomavision"), ["padim"], True),
    ],
)
def test_only_narrows_systems_and_cases(words, systems, labels, tables):
    chosen = choose(list(METHODS), quick=True, only=words, repeats=1)
    assert (chosen.systems, [case.label for case in chosen.cases]) == (systems, labels)
    assert bool(chosen.tables) == tables


def test_an_unknown_word_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError, match=r"'cable' is none of .*growth.*padim"):
        choose(list(METHODS), quick=True, only=["cable"], repeats=1)


# What is run


def test_medians_and_ratios_are_those_of_the_processes(fakes):
    fakes.plan(anomalib_train={"sleep": 0.1})
    done = fakes("--only", "patchcore-1", "--repeats", "2")
    assert done.code == 0, done.err
    assert fakes.events() == [*ALL_OF_ONE, *PEERS_TURNS] * 2
    table = fakes.table()
    ours, theirs = (statistics.median(fakes.seconds(name)) for name in ("ours", "anomalib"))
    assert len(fakes.seconds("ours")) == 2 and min(fakes.seconds("anomalib")) > 0.1
    row = table["train and evaluate, s"]
    assert row[:3] == [f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.3g}"]
    assert table["evaluation, ms an image"] == ["500", "1250", "0.4", "1250", "0.4"]
    size = len(json.dumps({"files": {"bank": "checksum"}})) + 1000
    assert table["state on disk, MB"][2] == f"{size / 10_000:.3g}"
    assert table["the same, our ONNX, MB"][2] == f"{3000 / 10_000:.3g}"
    assert table["image AUROC"] == ["0.7500", "0.5000", "", "0.5000", ""]
    onnx, photo = fakes.seconds("ours", "photo_onnx"), fakes.seconds("anomavision", "photo")
    expected = f"{statistics.median(onnx) / statistics.median(photo):.3g}"
    assert table["the same, ours from ONNX, s"][4] == expected
    assert table["an epoch, s"] == ["2.0", "-", "-", "-", "-"]
    text = (fakes.output / "results.md").read_text()
    assert "- anomalib: anomalib 1.0" in text and "left out: " in text and "cores" in text
    assert not list((fakes.output / "work").glob("*/*/*"))  # states of many gigabytes do not stay


def test_a_peer_that_takes_too_long_is_ended_and_not_asked_again(fakes):
    fakes.plan(anomavision_train={"sleep": 60})
    for _ in range(2):
        done = fakes("--only", "patchcore-1,anomavision", "--repeats", "2", "--limit", "1.5")
        assert done.code == 0, done.err
    assert fakes.events() == [*ALL_OF_ONE, "anomavision train", *ALL_OF_ONE]
    row = fakes.table()["train and evaluate, s"]
    assert row[1] == "more than 1.5"
    bound = f"< {statistics.median(fakes.seconds('ours')) / 1.5:.3g}"
    assert row[2] == bound
    fakes.plan()
    assert fakes("--only", "patchcore-1,anomavision", "--limit", "30").code == 0  # more time: it is asked again
    assert fakes.events()[-2:] == ["anomavision train", "anomavision photo"]


def test_an_interrupted_run_goes_on_where_it_stopped(fakes, monkeypatch):
    calls, real = [], measured.run

    def stopped(*words, **more):
        calls.append(words)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*words, **more)

    with monkeypatch.context() as patched:
        patched.setattr(measured, "run", stopped)
        assert fakes("--only", "patchcore-1").code == 130
    assert fakes.events() == [*ALL_OF_ONE, "anomalib train"]
    assert "train and evaluate, s" in fakes.table()  # what is known by then
    assert fakes("--only", "patchcore-1").code == 0
    assert fakes.events() == [*ALL_OF_ONE, *PEERS_TURNS]
    other = fakes("--only", "patchcore-1", "--epochs", "9")
    assert other.code == 2 and "other settings" in other.err and len(fakes.events()) == 9


def test_a_peer_that_fails_is_a_line_and_is_tried_again_later(fakes):
    fakes.plan(anomalib_export={"code": 7})
    assert fakes("--only", "patchcore-1", "--repeats", "2").code == 0
    text = (fakes.output / "results.md").read_text()
    assert "anomalib failed in export: exit code 7: half way" in text
    assert fakes.events().count("anomalib train") == 1 and fakes.events().count("anomavision photo") == 2
    assert fakes.table()["one photograph from a cold start, s"][1:3] == ["-", "-"]
    fakes.plan()
    assert fakes("--only", "patchcore-1", "--repeats", "2").code == 0
    assert fakes.events().count("anomalib train") == 2  # the first one was kept
    assert "failed" not in (fakes.output / "results.md").read_text()


def test_a_peer_that_cannot_be_installed_is_a_line(fakes, monkeypatch):
    def ensure(name, folder):
        if name == "anomalib":
            raise DataError("cannot be installed: no network")
        return Path(sys.executable)

    monkeypatch.setattr(environments, "ensure", ensure)
    assert fakes("--only", "patchcore-1").code == 0
    assert "- anomalib is not compared: cannot be installed: no network" in (fakes.output / "results.md").read_text()
    assert fakes.events() == [*ALL_OF_ONE, "anomavision train", "anomavision photo"]


def test_growth_is_ours_alone_and_starts_at_the_first(fakes):
    assert fakes("--only", "growth").code == 0
    assert set(fakes.events()) == {"ours train"}
    assert len(fakes.events()) == len({case for cases in growth(True).values() for case in cases})
    text = (fakes.output / "results.md").read_text()
    assert text.count("## How our cost grows") == len(growth(True))
    firsts = [line for line in text.splitlines() if line.startswith(("| 1 % |", "| 224 |", "| 1 of 2 |"))]
    assert len(firsts) == 3 and all(line.endswith("| 1 |") for line in firsts)
    assert text.count("\n## ") == len(growth(True))


def test_a_failure_of_ours_is_a_line_too(fakes):
    fakes.plan(ours_train={"code": 7})
    assert fakes("--only", "growth").code == 0
    assert "ours failed in train: exit code 7: half way" in (fakes.output / "results.md").read_text()


# How it is measured


def measure(folder: Path, program: str, limit: float = 30.0) -> dict:
    command = [sys.executable, "-c", program]
    return measured.run(command, folder=folder, log=folder / "log", environment=dict(os.environ), limit=limit)


def test_memory_is_that_of_a_process_and_its_children_together(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "SAMPLE", 0.02)
    megabytes = 60
    program = f"import os, time; forked = os.fork(); data = b'1' * {megabytes} * 10**6; time.sleep(0.4)"
    found = measure(tmp_path, program)
    assert 2 * megabytes * 1e6 < found["memory"] < 2.7 * megabytes * 1e6
    assert found["seconds"] > 0.4


def test_what_is_ended_takes_its_children_along(tmp_path):
    program = "import os, time; open('pid', 'w').write(str(os.fork() or os.getpid())); time.sleep(60)"
    assert measure(tmp_path, program, limit=3.0) == {"limit": 3.0}  # long enough for a busy machine to start Python
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not alive(pid))


def test_peers_get_the_environment_without_what_mindspore_needs():
    program = "import anomaly, os; from benchmarks.peers import measured; found = measured.environment();"
    program += "print('ONEDNN_MAX_CPU_ISA' in os.environ, 'ONEDNN_MAX_CPU_ISA' in found, found['MARK'])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"MARK": "a=b"}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "False", "a=b"], done.stderr


def test_the_launcher_explains_every_option():
    done = subprocess.run(["bash", ROOT / "benchmarks" / "run.sh", "--help"], capture_output=True, text=True)
    options = {name for action in bench.make_parser()._actions for name in action.option_strings} - {"-h", "--help"}
    assert done.returncode == 0 and [name for name in options - {"--debug"} if name not in done.stdout] == []


def test_a_ratio_is_ours_by_theirs_or_a_bound():
    assert report.ratio(2.0, 8.0) == "0.25"
    assert report.ratio(2.0, None, at_least=10.0) == "< 0.2"
    assert report.ratio(None, 8.0) == report.ratio(2.0, None) == report.ratio(2.0, 0.0) == "-"


# What it is measured with


@pytest.mark.parametrize("network", sorted(weights.NETWORKS))
def test_random_weights_have_the_names_and_shapes_of_the_network(network):
    import torch
    import torch_resnet

    with torch.device("meta"):
        known = {name: tuple(value.shape) for name, value in torch_resnet.ResNet(network).state_dict().items()}
    norms = {name.removesuffix(".running_mean"): shape for name, shape in known.items() if "running_mean" in name}
    found = [each for each in weights.convolutions(network) if not each[0].startswith("layer4.")]
    assert {f"{name}.weight": shape for name, _, shape in found} == {n: s for n, s in known.items() if len(s) == 4}
    assert {norm: shape[:1] for _, norm, shape in found} == norms


def test_random_weights_are_whole_and_the_same_each_time():
    one, other = weights.drawn("resnet18"), weights.drawn("resnet18")
    for convolution, norm, shape in weights.convolutions("resnet18"):
        names = [f"{norm}.{key}" for key in ("weight", "bias", "running_mean", "running_var")]
        assert [one[name].shape for name in names] == [shape[:1]] * 4
        assert one[f"{convolution}.weight"].shape == shape
        assert (one[f"{convolution}.weight"] == other[f"{convolution}.weight"]).all()
    assert one["fc.weight"].shape == (1000, 512)


def test_photographs_are_drawn_once_with_masks_of_one_channel(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "SIDE", 96)
    monkeypatch.setattr(toydata, "CATEGORIES", dict(toydata.CATEGORIES))
    for _ in range(2):
        photographs.draw(tmp_path / "drawn", train=3, test=8)
        monkeypatch.setattr(photographs, "plate", None)
    place = tmp_path / "drawn" / photographs.CATEGORY
    assert len(list(place.glob("train/good/*.png"))) == 3 and len(list(place.glob("test/*/*.png"))) == 8
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in place.glob("ground_truth/*/*.png")]
    assert len(masks) == 6 and all(mask.ndim == 2 and 0 < (mask > 0).mean() < 0.5 for mask in masks)
