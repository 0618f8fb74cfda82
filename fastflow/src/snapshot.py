"""The full state of a training, so that an interrupted one goes on as if nothing had happened."""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np
from mindspore import Tensor, nn

from anomaly.run.errors import DataError
from anomaly.run.files import replacing

FILE = "training.npz"


def values(cell: nn.Cell) -> dict:
    """Copies of all parameters of a flow or of an optimiser (its moments, powers and step among them)."""
    return {parameter.name: parameter.asnumpy().copy() for parameter in cell.get_parameters()}


def restore(cell: nn.Cell, arrays: dict) -> None:
    for parameter in cell.get_parameters():
        array = arrays[parameter.name]
        if array.shape != tuple(parameter.shape):
            raise DataError(f"a training state of another network ({parameter.name}); leave --resume out")
        parameter.set_data(Tensor(array, parameter.dtype))


def write(path: Path, arrays: dict) -> None:
    """As np.savez does it, which on a full disk leaves an open file that complains later."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name, array in arrays.items():
            with packed.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.asanyarray(array), allow_pickle=False)


@dataclass
class Progress:
    """Where training stands. Which image comes when follows from the seed and the epoch, so nothing random is kept."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done in the current epoch
    loss: float = 0.0  # summed over these steps, each weighted by its images
    best_epoch: int = 0
    best_value: float = float("inf")  # of the criterion; lower is better
    best: Optional[dict] = None  # the flow's parameters then
    history: list = field(default_factory=list)  # one row an epoch

    @property
    def kept_epoch(self) -> int:
        return self.best_epoch if self.best else self.epoch

    @property
    def judged_since_best(self) -> int:
        return sum("held_out" in row for row in self.history[self.best_epoch :])

    def save(self, path: Path, key: dict, *, flows: nn.Cell, optimizer: nn.Cell) -> None:
        """`key`: the options that decide the course of training."""
        record = {"key": key, "epoch": self.epoch, "step": self.step, "loss": self.loss, "history": self.history}
        record.update(best_epoch=self.best_epoch, best_value=self.best_value, has_best=self.best is not None)
        arrays = {f"optimizer/{parameter.name}": parameter.asnumpy() for parameter in optimizer.get_parameters()}
        arrays.update({f"flow/{parameter.name}": parameter.asnumpy() for parameter in flows.get_parameters()})
        arrays.update({f"best/{name}": array for name, array in (self.best or {}).items()})
        write(path, {"record": np.array(json.dumps(record)), **arrays})

    @staticmethod
    def load(path: Path, key: dict, *, flows: nn.Cell, optimizer: nn.Cell) -> "Progress":
        try:
            with np.load(path) as stored:
                record = json.loads(str(stored["record"]))
                arrays = {name: stored[name] for name in stored.files if name != "record"}
        except Exception:  # numpy and zipfile raise a different type for each way in which a file can be damaged
            raise DataError(f"{path}: damaged; train again without --resume") from None
        changed = [name for name in key if record["key"].get(name) != key[name]]
        if changed:
            raise DataError(f"{path}: was begun with another {', '.join(changed)}; leave --resume out to start anew")
        groups: dict = {"flow": {}, "optimizer": {}, "best": {}}
        for name, array in arrays.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = array
        restore(flows, groups["flow"])
        restore(optimizer, groups["optimizer"])
        return Progress(
            record["epoch"],
            record["step"],
            record["loss"],
            record["best_epoch"],
            record["best_value"],
            groups["best"] if record["has_best"] else None,
            record["history"],
        )
