"""The categories of a full benchmark: what is run for each, and what its folder remembers of it."""

import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from anomaly import methods
from anomaly.data.layouts import categories
from anomaly.deploy import state
from anomaly.run.errors import DataError
from anomaly.run.files import read_json, sha256, write_json

METHODS = methods.names()
TRAIN, ONNX = "train", "onnx"
WAITING, RUNNING, DONE, FAILED, BEFORE = "waiting", "running", "done", "failed", "done before"


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    root: Path  # holds the folders of the methods
    task: str
    dataset: Path
    weights: str  # "" where none were named
    target: str
    output: Path
    flags: dict  # of each method
    config: dict  # the file named by --config in the flags of each method, or None
    fresh: bool

    @property
    def results(self) -> Path:
        """Where tables go, and below it what belongs to each method."""
        return self.output / ONNX if self.task == ONNX else self.output


@dataclass
class Job:
    """One category of one method."""

    method: str
    category: str
    folder: Path  # of the log and the markers
    results: Path
    commands: tuple  # the device's number is added to each
    options: dict  # another run with the same ones would give the same results
    needed: tuple = ()  # files without which nothing is done
    status: str = WAITING
    again: bool = False  # was done, but other options, photographs or lost files ask for more
    device: Optional[int] = None
    started: float = 0.0  # by a clock that nobody sets
    resumed: bool = False  # a run that was interrupted is gone on with
    earlier: float = 0.0  # seconds that it had taken
    stamp: tuple = ()  # of the results that were there before
    seconds: Optional[float] = None
    figures: Optional[dict] = None
    reason: str = ""
    goes_on: bool = False  # the method can go on with a training that was interrupted

    @property
    def log(self) -> Path:
        return self.folder / f"{self.folder.name.partition('_')[0]}.log"

    @property
    def marker(self) -> Path:
        return self.folder / "done.json"

    @property
    def begun(self) -> Path:
        return self.folder / "begun.json"

    def forget(self):
        for path in (self.marker, self.begun):
            path.unlink(missing_ok=True)

    def recall(self):
        """Takes up what was done before with the same options, and is still there."""
        found = read_marker(self.marker)
        if found and found["options"] == self.options and all(path.is_file() for path in self.needed):
            self.status, self.seconds, self.figures = BEFORE, found["seconds"], found["results"]
        self.again = bool(found) and self.status == WAITING

    def begin(self, device: int) -> list:
        """The commands to run; notes what they are run with, for only the same is gone on with after a kill."""
        before = read_marker(self.begun, ("options", "seconds", "started")) if self.resumable else None
        self.resumed = bool(before) and before["options"] == self.options
        if self.resumed and self.log.is_file():
            self.earlier = before["seconds"] + max(0.0, self.log.stat().st_mtime - before["started"])
        self.status, self.device, self.started = RUNNING, device, time.monotonic()
        self.stamp = changed(self.results)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.marker.unlink(missing_ok=True)
        if self.resumable:
            write_json(self.begun, {"options": self.options, "seconds": self.earlier, "started": time.time()})
        more = ["--resume"] if self.resumed else []
        return [[*command, "--device_id", str(device), *more] for command in self.commands]

    @property
    def resumable(self) -> bool:
        return self.goes_on and self.options["task"] == TRAIN

    def finish(self):
        """After success; from here on the category is done."""
        if changed(self.results) in ((), self.stamp):
            raise DataError(f"wrote no {self.results}")
        figures = read_json(self.results)
        self.figures = {key: value for key, value in figures.items() if key != "images"}
        self.seconds = self.earlier + time.monotonic() - self.started
        self.status = DONE
        write_json(self.marker, {"options": self.options, "seconds": self.seconds, "results": self.figures})

    def fail(self, reason: str):
        self.status, self.reason = FAILED, reason
        self.seconds = time.monotonic() - self.started
        if self.resumed:  # it may be that it cannot be gone on with; the next time it is begun anew
            self.begun.unlink(missing_ok=True)


def changed(path: Path) -> tuple:
    """Differs when the file has been written in between."""
    return (path.stat().st_mtime_ns, path.stat().st_ino) if path.is_file() else ()


def read_marker(path: Path, keys: tuple = ("options", "seconds", "results")) -> Optional[dict]:
    """None where there is none, or none that can be used."""
    try:
        found = read_json(path)
    except (OSError, DataError):
        return None
    return found if isinstance(found, dict) and all(key in found for key in keys) else None


def recorded(folder: Path) -> list:
    """(category, marker) of all that is done of a method, by whatever options."""
    found = [(path.parent.name.partition("_")[2], read_marker(path)) for path in sorted(folder.glob("*_*/done.json"))]
    return [(category, marker) for category, marker in found if marker]


def ordered(names: list, known: tuple) -> list:
    """Known ones in their order, then the others in alphabetical order."""
    return [name for name in known if name in names] + sorted(set(names) - set(known))


def plan(settings: Settings, methods: list, order: dict) -> list:
    """A job for each category of each method; `order`: the categories of the published table of a method."""
    found, jobs = categories(settings.dataset), []
    make = {TRAIN: training, ONNX: deployment}[settings.task]
    for method in methods:
        made = [make(settings, method, category) for category in ordered(found, order[method])]
        jobs += [job for job in made if job]
    if not jobs:
        raise DataError(f"{settings.output}: holds nothing trained; train first (scripts/run_all_mvtec.sh)")
    for job in jobs:
        if settings.fresh:
            job.forget()
        job.recall()
    return jobs


def options(settings: Settings, method: str, category: str) -> dict:
    config = settings.config[method]
    return {
        "task": settings.task,
        "dataset": str(settings.dataset),
        "photographs": inventory(settings.dataset / category),
        "weights": settings.weights,
        "device_target": settings.target,
        "flags": list(settings.flags[method]),
        "config": sha256(config) if config else None,
    }


def inventory(folder: Path) -> str:
    """Differs where files have come, gone or changed their size."""
    files = sorted((str(path.relative_to(folder)), path.stat().st_size) for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(repr(files).encode()).hexdigest()


def training(settings: Settings, method: str, category: str) -> Job:
    output = settings.output / method
    command = [sys.executable, str(settings.root / method / "train.py"), "--dataset_path", str(settings.dataset)]
    command += ["--category", category, "--output_dir", str(output), "--device_target", settings.target]
    command += ["--pre_ckpt_path", settings.weights] if settings.weights else []
    command += settings.flags[method]
    results = output / category / "results.json"
    needed = (results, output / category / state.RECORD)
    folder, known = output / f"train_{category}", options(settings, method, category)
    goes_on = hasattr(methods.get(method).config, "resume")
    return Job(method, category, folder, results, (command,), known, needed, goes_on=goes_on)


def deployment(settings: Settings, method: str, category: str) -> Optional[Job]:
    """Export of a trained category, and evaluation of the file; none where it was not trained."""
    trained, output = settings.output / method, settings.results / method
    record = trained / category / state.RECORD
    if not record.is_file():
        print(f"{method} {category}: is left out, {trained} holds nothing trained of it", flush=True)
        return None
    model = output / category / f"{method}_{category}.onnx"
    device, category_flags = ["--device_target", settings.target], ["--category", category]
    export = [sys.executable, str(settings.root / method / "export.py"), *category_flags, "--output_dir", str(trained)]
    export += ["--file_format", "ONNX", "--file_name", str(model), *device]
    export += ["--pre_ckpt_path", settings.weights] if settings.weights else []
    evaluate = [sys.executable, str(settings.root / method / "eval.py"), "--dataset_path", str(settings.dataset)]
    evaluate += [*category_flags, "--output_dir", str(output), "--model_path", str(model), *device]
    evaluate += settings.flags[method]
    known = {**options(settings, method, category), "trained": str(trained), "state": sha256(record)}
    results = output / category / "results.json"
    return Job(method, category, output / f"eval_{category}", results, (export, evaluate), known, (results, model))
