"""The systems that are compared: which commands each needs for a piece of work, and what it says about it."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from anomaly.run.files import read_json
from benchmarks.peers import environments, measured
from benchmarks.peers.plan import DIMENSIONS, OURS, Case

TRAIN, EXPORT, PHOTO, PHOTO_ONNX = "train", "export", "photo", "photo_onnx"
# A bar may stand before them on their lines.
EPOCH = re.compile(r"\bepoch \d+ of \d+: .* ([\d.]+) s$", re.MULTILINE)
EVALUATION = re.compile(r"\btime: .*evaluation ([\d.]+) s", re.MULTILINE)
# A backbone's file of weights, under the name of torchvision's own: AnomaVision loads it by that.
WEIGHTS = {"resnet18": "resnet18-f37072fd", "wide_resnet50": "wide_resnet50_2-9ba9bcbe"}


@dataclass(frozen=True)
class Work:
    """What is the same for all systems."""

    root: Path  # the project
    output: Path
    category: str
    photograph: Path  # alone in its folder
    threads: int
    epochs: int

    def data(self, case: Case) -> Path:
        return self.output / "data" / f"part_{case.part}"

    @property
    def torch_home(self) -> Path:
        return self.output / "weights"

    def weights(self, network: str, suffix: str = ".pth") -> Path:
        return self.torch_home / "hub" / "checkpoints" / f"{WEIGHTS[network]}{suffix}"


@dataclass(frozen=True)
class Ours:
    """This project, by its commands."""

    work: Work
    name: str = OURS
    methods: tuple = ("patchcore", "padim", "fastflow")
    steps: tuple = (TRAIN, EXPORT, PHOTO, PHOTO_ONNX)
    environment: dict = field(default_factory=measured.environment)

    def command(self, step: str, case: Case, folder: Path) -> Sequence[Any]:
        work, onnx = self.work, folder / "exported.onnx"
        common = ["--category", work.category, "--output_dir", folder]
        weights = ["--pre_ckpt_path", work.weights(case.network, ".ckpt")]
        program, words = {
            TRAIN: ("train", [*weights, *self.options(case)]),
            EXPORT: ("export", [*weights, "--file_format", "ONNX", "--file_name", onnx]),
            PHOTO: ("predict", [*weights, "--no_pictures", "--image_path", work.photograph]),
            PHOTO_ONNX: ("predict", ["--no_pictures", "--image_path", work.photograph, "--model_path", onnx]),
        }[step]
        return [sys.executable, work.root / case.method / f"{program}.py", *common, *words]

    def options(self, case: Case) -> list:
        own = {
            "patchcore": ["--coreset_ratio", case.ratio],
            "padim": ["--embedding_dim", DIMENSIONS[case.network]],
            "fastflow": ["--num_epochs", self.work.epochs, "--log_interval", 1, "--conv3x3_only", only_3x3(case)],
        }
        common = ["--dataset_path", self.work.data(case), "--backbone", case.network, "--resize", case.side]
        return [*common, "--crop", "none", "--pictures", 0, *own[case.method]]

    def figures(self, step: str, folder: Path, log: Path) -> dict:
        """What is known beside seconds and memory."""
        place = folder / self.work.category
        if step == EXPORT:
            return {"exported_bytes": (folder / "exported.onnx").stat().st_size}
        if step != TRAIN:
            return {}
        text, results = log.read_text(encoding="utf-8", errors="replace"), read_json(place / "results.json")
        files = ["state.json", *read_json(place / "state.json")["files"]]
        return {
            "evaluation": float(EVALUATION.findall(text)[-1]),
            "images": len(results["images"]),
            "epochs": [float(seconds) for seconds in EPOCH.findall(text)],
            "img_auc": results["img_auc"],
            "state_bytes": sum((place / name).stat().st_size for name in files),
        }


@dataclass(frozen=True)
class Peer:
    """Another system, by its script and the Python of its environment."""

    work: Work
    name: str
    methods: tuple
    steps: tuple
    python: Path

    @property
    def script(self) -> Path:
        return environments.HERE / f"with_{self.name}.py"

    @property
    def environment(self) -> dict:
        return {**measured.environment(), "TORCH_HOME": str(self.work.torch_home), "TRUST_REMOTE_CODE": "1"}

    def command(self, step: str, case: Case, folder: Path) -> Sequence[Any]:
        work, unit = self.work, folder / "unit.json"
        known = {
            **asdict(case),
            "data": work.data(case),
            "category": work.category,
            "folder": folder,
            "photograph": work.photograph,
            "weights": work.weights(case.network),
            "dimensions": DIMENSIONS[case.network],
            "conv3x3_only": only_3x3(case),
            "epochs": work.epochs,
            "threads": work.threads,
        }
        unit.write_text(json.dumps(known, default=str), encoding="utf-8")
        return [self.python, self.script, step, unit]

    def figures(self, step: str, folder: Path, log: Path) -> dict:
        return read_json(folder / f"{step}.json")


def only_3x3(case: Case) -> bool:
    """FastFlow's paper uses kernels of 3 alone with ResNet18, of 3 and 1 in turn with larger networks."""
    return case.network == "resnet18"


# name: (methods, steps)
PEERS: dict[str, tuple[tuple, tuple]] = {
    "anomalib": (("patchcore", "padim", "fastflow"), (TRAIN, EXPORT, PHOTO)),
    "anomavision": (("patchcore", "padim"), (TRAIN, PHOTO)),
}
