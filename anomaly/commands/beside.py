"""Exported models that lie in the folder of a trained state: which are of it, and which of another training."""

from dataclasses import dataclass
from pathlib import Path

from anomaly.commands.results import identity
from anomaly.deploy import description
from anomaly.measure.calibration import Calibration


@dataclass(frozen=True)
class Beside:
    same: tuple = ()  # descriptions of models of this training
    others: tuple = ()  # files of those of another one
    damaged: tuple = ()  # files of those that cannot be read


def models(folder: Path, calibration: Calibration) -> Beside:
    """`calibration`: that of the state."""
    beside = {each: description.read_beside(each) for each in descriptions(folder)}
    known = {each: identity(model.calibration) for each, model in beside.items() if model}
    own = identity(calibration)
    return Beside(
        tuple(model for each, model in beside.items() if model and known[each] == own),
        tuple(each for each in known if known[each] != own),
        tuple(each for each in beside if each not in known),
    )


def descriptions(folder: Path) -> list:
    """The .json of each exported model there."""
    found = (each for each in folder.iterdir() if each.suffix in description.SUFFIXES.values())
    return sorted({place for each in found if (place := description.beside(each)).is_file()})
