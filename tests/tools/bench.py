"""A benchmark of methods that are a few lines of Python, and note what is asked of them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

from commands import run

from benchmarks import full, jobs

ROOT = Path(__file__).resolve().parents[2]
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
            (self.root / method / "src").mkdir()
            for name in ("__init__.py", "src/detector.py"):
                (self.root / method / name).touch()
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
        program += "full.ROOT = Path(sys.argv.pop(1)); sys.exit(full.guarded(full.main))"
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
