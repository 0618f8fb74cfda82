"""What every detector is: something that judges photographs, whatever it was made by and whatever runs it."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar

import numpy as np

from anomaly.config import Config
from anomaly.data import layouts, loader
from anomaly.data.loader import Batch
from anomaly.data.samples import Sample, is_one, samples
from anomaly.data.transform import Transform
from anomaly.measure import evaluation
from anomaly.measure.calibration import Calibration, Choice, Scales
from anomaly.measure.evaluation import Evaluation
from anomaly.measure.judgement import Judgement, judgement
from anomaly.networks.registry import Backbone
from anomaly.run.threads import ahead

Self = TypeVar("Self", bound="Detector")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Detector(ABC):
    method: str
    backbone: Backbone
    transform: Transform  # from a photograph to what the network takes
    calibration: Calibration
    scales: Scales  # the thresholds in force
    remark: str = ""  # what a reader of its figures has to know, if anything
    category: str = ""  # what it was trained on, as far as that has a name
    runs_on: str = ""  # for people to read
    images: list = field(default_factory=list)  # what it was trained on, as trained_on.describe has it, if it is known

    def __repr__(self) -> str:
        limit = f"threshold {self.scales.image.threshold:.6g}" if self.scales.known else "no threshold"
        about = ", ".join(filter(None, (self.category, self.backbone.name, str(self.transform), limit)))
        return f"<{type(self).__name__} of {self.method}: {about}>"

    @abstractmethod
    def score(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """B H W 3 uint8, as `transform` makes them -> maps, B H W, and image scores, B."""

    @property
    def runs_beside(self) -> bool:
        """Whether `score` may run in a thread of its own while the main one works."""
        return False

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes it down, for anomaly.load."""

    def with_choice(self: Self, choice: Choice) -> Self:
        """The same with another threshold."""
        return replace(self, scales=self.calibration.at(choice))

    def with_rate(self: Self, false_alarm_rate: float) -> Self:
        """The same with the threshold for this part of good photographs that may be called anomalous."""
        return self.with_choice(replace(self.scales.choice, false_alarm_rate=false_alarm_rate, value=None, source=""))

    def with_threshold(self: Self, score: float) -> Self:
        """The same, where a photograph is anomalous that scores more than this."""
        return self.with_choice(replace(self.scales.choice, value=float(score), source=""))

    def judge(self, photographs: Any) -> Any:
        """A path, an array (H W 3 uint8, RGB) or a picture of Pillow's -> its Judgement; a folder, a batch or a list ->
        a list of them.
        """
        found = list(Judging(self, samples(photographs)))
        return found[0] if is_one(photographs) else found


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Fitted(Detector):
    """What a method has fitted; the method's own class adds what was learnt."""

    config: Config

    def left_out(self, images: np.ndarray, number: int) -> np.ndarray:
        """Photograph `number` of training, 1 H W 3 -> its map, 1 H W, as if the others alone had been trained on."""
        return self.score(images)[0]

    @property
    def runs_beside(self) -> bool:
        return self.config.runtime.runs_beside

    def with_choice(self: Self, choice: Choice) -> Self:
        known: Any = self
        return replace(known, config=replace(known.config, **choice.options), scales=known.calibration.at(choice))


def choice(config: Config) -> Choice:
    """Of a threshold, by the options that decide it."""
    return Choice(config.false_alarm_rate, config.threshold, config.robust_threshold, config.threshold_source)


def common(config: Config, backbone: Backbone, *, calibration: Calibration) -> dict:
    """What every Fitted has, from what decides it."""
    return {
        "config": config,
        "backbone": backbone,
        "transform": config.transform,
        "calibration": calibration,
        "scales": calibration.at(choice(config)),
        "runs_on": str(config.runtime),
    }


def computed(config: Config, samples: Sequence, *, network: Callable, count: Callable) -> Iterator[list]:
    """What a network makes of all samples, a batch after the other, decoded and computed ahead: arrays, B first."""
    decoded = loader.batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers)
    for batch, found in ahead(decoded, lambda batch: network(batch.images), threads=config.runtime.runs_beside):
        yield [part[: batch.size] for part in found]
        count(batch.size)


class Piece(NamedTuple):
    """What was found in a photograph, or in a window of it."""

    score: float
    map: np.ndarray
    sample: Sample
    image: np.ndarray
    mask: Optional[np.ndarray]
    photograph: Optional[np.ndarray]
    shape: tuple


def joined(detector: Detector, pieces: list, *, with_photograph: bool = False) -> Judgement:
    """Of all pieces of a photograph; its score is that of the worst of them."""
    transform, first = detector.transform, pieces[0]
    values = transform.join([p.map for p in pieces], [p.sample.window for p in pieces], photograph=first.shape)
    in_pieces = first.sample.window is not None
    return judgement(
        max(p.score for p in pieces) if in_pieces else first.score,
        values,
        scales=detector.scales,
        sample=replace(first.sample, window=None) if in_pieces else first.sample,
        image=transform.image(first.photograph, first.sample.path) if in_pieces else first.image,
        mask=first.mask,
        photograph=first.photograph if with_photograph else None,
        transform=transform,
        shape=first.shape,
    )


@dataclass
class Judging:
    """The judgements of photographs, one after the other, while the next ones are decoded."""

    detector: Detector
    samples: tuple
    batch_size: int = 8
    workers: int = 4
    with_masks: bool = False
    with_photographs: bool = False
    on_error: Optional[Callable] = None  # is told of a photograph that cannot be read; without it, it ends all
    seconds: float = field(default=0.0, init=False)  # in which the detector was at work, at one batch or several
    until: float = field(default=0.0, init=False)  # when it was last at work
    lock: Any = field(default_factory=threading.Lock, init=False)

    def __iter__(self) -> Iterator[Judgement]:
        transform = self.detector.transform
        batches = loader.batches(
            transform.pieces(self.samples),
            transform,
            batch_size=self.batch_size,
            workers=self.workers,
            with_masks=self.with_masks,
            with_photographs=self.with_photographs,
            on_error=self.on_error,
        )
        pieces: list = []  # of one photograph
        for batch, (maps, scores) in ahead(batches, self._score, threads=self.detector.runs_beside):
            fields = (scores, maps, batch.samples, batch.images, batch.masks, batch.photographs, batch.shapes)
            for piece in map(Piece._make, zip(*fields)):
                window = piece.sample.window
                pieces = pieces if window and window.number == len(pieces) else []
                pieces.append(piece)
                if window is None or len(pieces) == window.count:
                    yield joined(self.detector, pieces, with_photograph=self.with_photographs)

    def _score(self, batch: Batch) -> tuple:
        start = time.perf_counter()
        found = self.detector.score(batch.images)
        with self.lock:
            end = time.perf_counter()
            self.seconds += end - max(start, self.until)
            self.until = end
        return found


def evaluate(detector: Detector, photographs: Any, *, batch_size: int = 8, workers: int = 4) -> Evaluation:
    """Figures of the folder of a category, a Category, or Samples, whose `defect` and `mask` say what is true."""
    tests = layouts.to_test_on(photographs)
    return evaluation.evaluate(Judging(detector, tests, batch_size, workers, with_masks=True))
