"""One training of a comparison: a process of its own, what it used of time and memory, and what it found."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import yaml

from anomaly import __version__, methods
from anomaly import config as options
from anomaly.config import Config
from anomaly.data import sources
from anomaly.data.sources import Source
from anomaly.deploy import state
from anomaly.run.child import dies_with_this
from anomaly.run.errors import DataError
from anomaly.run.files import SOURCE, read_json, sha256, write_json, write_text
from anomaly.run.options import to_values
from anomaly.run.threads import parallel

NOTE = "compared.json"  # in the folder of a run: what it was of, and its row
FIXED = {"pictures": 0}  # defaults that are other ones here, since pictures are not compared


@dataclass(frozen=True)
class Row:
    """What came of a method with a network on a category. None: not known."""

    category: str
    method: str
    backbone: str
    img_auc: Optional[float] = None
    pixel_auc: Optional[float] = None
    aupro: Optional[float] = None
    missed: Optional[int] = None
    anomalous: int = 0  # photographs of defects that were looked at
    false_alarms: Optional[int] = None
    good: int = 0
    training_seconds: Optional[float] = None  # of the whole process up to the saved state
    seconds_per_image: Optional[float] = None
    peak_memory: Optional[int] = None  # bytes
    state_size: Optional[int] = None  # bytes
    random_backbone: bool = False
    view: str = ""  # what of the photographs the network looks at
    remark: str = ""
    reason: str = ""  # why it failed

    @property
    def errors(self) -> Optional[int]:
        return None if self.missed is None or self.false_alarms is None else self.missed + self.false_alarms

    @property
    def test_images(self) -> int:
        return self.good + self.anomalous


def known_names(method: str) -> set:
    """Of the options of a method."""
    return {spec.name for spec in dataclasses.fields(methods.get(method).config)}


def folder_of(output: Path, method: str, *, backbone: str) -> Path:
    return output / f"{method}-{backbone}"


@dataclass(frozen=True)
class Run:
    output: Path
    category: str
    method: str
    backbone: str
    given: dict = field(repr=False)

    @property
    def results(self) -> Path:
        """The folder that training gets as --output_dir."""
        return folder_of(self.output, self.method, backbone=self.backbone)

    @property
    def folder(self) -> Path:
        return self.results / self.category

    @property
    def log(self) -> Path:
        return self.results / f"{self.category}.log"

    @property
    def chosen(self) -> dict:
        """The options that this method knows."""
        known = known_names(self.method)
        mine = {name: value for name, value in self.given.items() if name in known}
        fixed = {"backbone": self.backbone, "category": (self.category,), "output_dir": str(self.results)}
        return {**FIXED, **mine, **fixed}

    @property
    def config(self) -> Config:
        """All options, as the training takes them."""
        method = methods.get(self.method)
        return options.resolve(method.config, self.chosen, presets=method.presets)

    def failed(self, reason: str) -> Row:
        return Row(self.category, self.method, self.backbone, reason=reason)


def identity(source: Source, category: str) -> str:
    """Of the photographs and masks of a category, by what is in them; of none that can be read, no identity."""
    try:
        found = sources.load(source, category)
        samples = [*found.train, *found.test]
        content = parallel(lambda s: (s.digest(), s.defect, [sha256(path) for path in s.masks]), samples)
        return _digest([len(found.train), content])
    except (DataError, OSError):  # each run says why
        return ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()


def row(run: Run, photographs: str, *, place: str = "") -> Row:
    """From before, where options and photographs are the same, or from a run. `place`: which of how many it is."""
    what = f"{run.category}: {run.method} with {run.backbone}"
    try:
        same = key(run, photographs)
        before = recalled(run, same)
        if before is not None:
            print(f"{what}: done before", flush=True)
            return before
        print(f"{what} ..." + (f" ({place})" if place else ""), flush=True)
        found = trained(run)
    except (DataError, OSError) as error:
        found = run.failed(str(error))
    if found.reason:
        print(f"{what}: failed: {found.reason}", flush=True)
    elif same and photographs:
        write_json(run.folder / NOTE, {"compared": same, "row": dataclasses.asdict(found)})
    return found


def key(run: Run, photographs: str) -> str:
    """Differs where another result is to be expected."""
    method, config = methods.get(run.method), run.config
    values = to_values(config) | {"output_dir": ""}
    return _digest([__version__, run.method, values, _stamp(Path(method.weights_of(config))), photographs])


def _stamp(path: Path) -> list:
    return [str(path), path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else [str(path)]


def recalled(run: Run, same: str) -> Optional[Row]:
    try:
        note = read_json(run.folder / NOTE)
        state.read(run.folder)
        return Row(**note["row"]) if note["compared"] == same else None
    except (OSError, DataError, KeyError, TypeError):
        return None


def trained(run: Run) -> Row:
    """In a process of its own."""
    for name in (NOTE, "results.json"):
        (run.folder / name).unlink(missing_ok=True)
    config = run.results / f"{run.category}.yaml"
    write_text(config, as_yaml(run))
    command = [sys.executable, "-m", "anomaly", "train", run.method, "--config", str(config)]
    began, start = time.time(), time.monotonic()
    code, peak = called(command, run.log)
    if code:
        return run.failed(why(run.log, code))
    record, results = state.read(run.folder), read_json(run.folder / "results.json")
    files = [run.folder / name for name in (*record.record["files"], state.RECORD, state.CONFIG)]
    verdicts, decided = results["verdicts"], results["threshold"] is not None
    return Row(
        run.category,
        run.method,
        run.backbone,
        **{name: results[name] for name in ("img_auc", "pixel_auc", "aupro", "random_backbone", "remark")},
        view=str(run.config.transform),
        missed=verdicts["missed"] if decided else None,
        anomalous=verdicts["anomalous"],
        false_alarms=verdicts["false_alarms"] if decided else None,
        good=verdicts["good"],
        training_seconds=training_seconds(run.folder / state.RECORD, began, most=time.monotonic() - start),
        seconds_per_image=results["seconds_per_image"] if results["test_images"] else None,
        peak_memory=peak,
        state_size=sum(path.stat().st_size for path in files if path.is_file()),
    )


def training_seconds(record: Path, began: float, *, most: float) -> Optional[float]:
    """By the system's clock; not known where that was set in between."""
    found = record.stat().st_mtime - began
    return found if 0 < found <= most else None


def as_yaml(run: Run) -> str:
    """As --config takes it."""
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in run.chosen.items()}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def called(command: list, log: Path) -> tuple:
    """Exit code, and the peak of memory in bytes. Whatever ends this process ends that one too."""
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=dies_with_this(signal.SIGTERM),  # it may have something to save
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def why(log: Path, code: int) -> str:
    """The line in which a process said what was wrong, else how it ended."""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if said:
        return said[-1]
    how = f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
    return f"{how}; see {log}"
