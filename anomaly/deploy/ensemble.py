"""Several detectors of one method, with a network each, as one: `--backbone a,b`.

What a member says is first brought to the scale of its own good photographs, as multiples of their spread above their
mean; then all members count alike. What a good photograph scored when it was left out is the mean of that over the
members; photographs that one of them could not leave out are not among these. For the largest value of its map this is
an upper bound, since the members' largest values may lie in different places: the outline in pictures is drawn a little
late rather than early.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly import methods
from anomaly.config import Config
from anomaly.deploy import state
from anomaly.deploy.saving import saving
from anomaly.deploy.state import RECORD, State
from anomaly.detector import Fitted, common
from anomaly.engines.choice import BFLOAT16, FLOAT32, INT8
from anomaly.measure.calibration import Calibration
from anomaly.networks.registry import Backbone
from anomaly.run.errors import UsageError
from anomaly.run.job import Job


@dataclass(frozen=True)
class Level:
    """Of good photographs: where they are, and how far apart."""

    middle: float
    spread: float

    def of(self, values: np.ndarray) -> np.ndarray:
        return (values - self.middle) / self.spread


def level(good: np.ndarray) -> Level:
    middle = float(good.mean()) if len(good) else 0.0
    spread = float(good.std()) if len(good) > 1 else abs(middle) or 1.0
    return Level(middle, max(spread, 1e-6 * abs(middle), 1e-12))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ensemble(Fitted):
    members: tuple

    @functools.cached_property
    def levels(self) -> tuple:
        """Of each member: of scores, and of maps."""
        return tuple((level(each.scores), level(each.peaks)) for each in common_ground(self.members))

    def score(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        maps, scores = [], []
        for member, (of_scores, of_maps) in zip(self.members, self.levels):
            found = member.score(images)
            maps.append(of_maps.of(found[0]))
            scores.append(of_scores.of(found[1]))
        return np.mean(maps, axis=0), np.mean(scores, axis=0)

    def left_out(self, images: np.ndarray, number: int) -> np.ndarray:
        maps = [levels.of(member.left_out(images, number)) for member, (_, levels) in zip(self.members, self.levels)]
        return np.mean(maps, axis=0)

    def save(self, folder: Path) -> None:
        with saving(folder, self) as folder:
            for number, member in enumerate(self.members):
                member.save(folder / place(number))

    def model(self) -> Any:
        """The whole as one Cell, for export."""
        from anomaly.deploy.cells import Together  # which loads MindSpore

        method = methods.get(self.method)
        return Together([method.model(member) for member in self.members], self.levels)


def place(number: int) -> str:
    return f"member{number}"


def common_ground(members: tuple) -> list:
    """The members' calibrations with those photographs alone that every member could leave out, in one order."""
    calibrations = [member.calibration for member in members]
    if not all(each.names for each in calibrations):
        return calibrations  # of a state from before photographs had names
    places = [{name: row for row, name in enumerate(each.names)} for each in calibrations]
    shared = [name for name in calibrations[0].names if all(name in each for each in places)]
    rows = [[each[name] for name in shared] for each in places]
    return [Calibration(each.scores[own], each.peaks[own], tuple(shared)) for each, own in zip(calibrations, rows)]


def of(config: Config, backbone: Backbone, *, members: tuple) -> Ensemble:
    calibrations = common_ground(members)
    scores = np.mean([level(each.scores).of(each.scores) for each in calibrations], axis=0)
    peaks = np.mean([level(each.peaks).of(each.peaks) for each in calibrations], axis=0)
    remarks = dict.fromkeys(member.remark for member in members if member.remark)
    return Ensemble(
        **common(config, backbone, calibration=Calibration(scores, peaks, calibrations[0].names)),
        method=members[0].method,
        remark="; ".join(remarks),
        images=members[0].images,
        members=members,
    )


def fit(config: Config, samples: tuple, *, backbone: Backbone, job: Job, start: Optional[Fitted] = None) -> Ensemble:
    if config.precision == INT8:
        raise UsageError(f"an ensemble computes in {FLOAT32} or {BFLOAT16}; train with one of these")
    if any("," in part.source for part in backbone.parts):
        raise UsageError("an ensemble's weights lie in a path without a comma; move them, or the project")
    if start is not None:
        raise UsageError("an ensemble takes in no further photographs; train it again")
    method = methods.get(type(config).__module__.split(".")[0])
    members = []
    for number, (own, part) in enumerate(zip(config.members, backbone.parts)):
        folder = job.folder / place(number) if job.folder else None
        members.append(method.fitted(own, samples, job=replace(job, folder=folder), backbone=part))
    return of(config, backbone, members=tuple(members))


def load(found: State, config: Config, *, backbone: Backbone) -> Ensemble:
    method, members = methods.get(found.method), []
    for number, (own, part) in enumerate(zip(config.members, backbone.parts)):
        with found.file(f"{place(number)}/{RECORD}"):  # it has the checksums of the member's other files
            member = state.read(found.folder / place(number), pending=found.pending and found.pending / place(number))
        open_to_choice = {name: getattr(own, name) for name in ("batch_size", "workers", "engine")}
        members.append(method.load(member, open_to_choice, backbone=part))
    return replace(of(config, backbone, members=tuple(members)), category=found.folder.name)
