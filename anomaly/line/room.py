"""What a service has: detectors by name, the queue to them, and what it has seen."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Optional

import cv2
import numpy as np

from anomaly.data.images import encode
from anomaly.data.loader import read_sample
from anomaly.data.samples import Sample
from anomaly.data.tiles import Tiles
from anomaly.data.transform import Transform
from anomaly.detector import Detector, Piece, joined
from anomaly.line.batching import Batches
from anomaly.line.counting import Counts, family, resident
from anomaly.line.drift import Drift
from anomaly.line.uploads import Limits, Refused, called, photograph
from anomaly.measure.judgement import Judgement
from anomaly.run.errors import DataError
from anomaly.run.threads import cores
from anomaly.show import maps, pictures

NONE, GREY, HEAT, OVERLAY = "none", "grey", "heat", "overlay"
COLD, WARM = 0.3, 0.5  # levels from which on a place can be seen in it, and cannot be seen through
SHOWN = 1024  # longest side of a heat map, which is laid over the photograph


@dataclass(frozen=True)
class Prepared:
    """A photograph, and what the network sees of it."""

    samples: tuple
    images: list  # H W 3
    shape: tuple  # height and width of the photograph
    photograph: Optional[np.ndarray]  # itself, where it is still needed


class Room:
    def __init__(
        self,
        detectors: dict[str, Detector],
        *,
        limits: Limits,
        batch_size: int,
        window: int,
        tell: Callable[[str], None],
    ) -> None:
        self.detectors, self.limits = detectors, limits
        self.counts = Counts()
        self.drift = {name: Drift(each.calibration, each.scales, window=window) for name, each in detectors.items()}
        self.lock = Lock()  # of what is known of drift
        self.batches = Batches(detectors, size=batch_size)
        self.batches.on_batch = self.counts.batch
        self.threads = ThreadPoolExecutor(max(2, cores()), thread_name_prefix="photographs")
        self.whole = asyncio.Semaphore(cores())  # of photographs that are kept while they wait, which may be large
        self.drawing = asyncio.Semaphore(1)  # pictures of a photograph's size, for the memory that they take
        self.tell = tell

    def close(self) -> None:
        self.batches.close()
        self.threads.shutdown()

    def chosen(self, name: Optional[str]) -> str:
        if name is None and len(self.detectors) == 1:
            return next(iter(self.detectors))
        if name not in self.detectors:
            there = ", ".join(self.detectors)
            raise Refused(404, f"no such model; there are {there}" if name else f"`model` is needed; there are {there}")
        return name

    async def predict(self, content: bytes, *, model: str, name: str, shown: str) -> dict:
        """The answer to one photograph."""
        whole = shown == OVERLAY or isinstance(self.detectors[model].transform, Tiles)
        async with self.whole if whole else nullcontext():
            return await self._predicted(content, model=model, path=called(name), shown=shown, whole=whole)

    async def _predicted(self, content: bytes, *, model: str, path: Path, shown: str, whole: bool) -> dict:
        loop = asyncio.get_running_loop()
        prepare = partial(self._prepare, content, path, transform=self.detectors[model].transform, whole=whole)
        prepared = await loop.run_in_executor(self.threads, prepare)
        waiting = [asyncio.wrap_future(self.batches.add(model, image)) for image in prepared.images]
        found = await asyncio.gather(*waiting)
        async with self.drawing if shown in (GREY, OVERLAY) else nullcontext():
            return await loop.run_in_executor(self.threads, self._answer, model, prepared, found, shown)

    def _prepare(self, content: bytes, path: Path, *, transform: Transform, whole: bool) -> Prepared:
        pixels = photograph(content, path, limits=self.limits)
        try:
            samples = transform.pieces((Sample(path, pixels=pixels),))
            images = [read_sample(each, transform, with_mask=False)[0] for each in samples]
        except DataError as error:  # as of other proportions than the region that is looked at
            raise Refused(422, str(error)) from None
        shape = pixels.shape[:2]
        if not whole:
            samples = tuple(replace(each, pixels=None) for each in samples)
            images = [np.array(image) for image in images]  # not a part of the photograph, which would stay with it
        return Prepared(samples, images, shape, pixels if whole else None)

    def _answer(self, model: str, prepared: Prepared, found: list, shown: str) -> dict:
        shape = prepared.shape
        pieces = [
            Piece(score, values, sample, image, None, prepared.photograph, shape)
            for (values, score), sample, image in zip(found, prepared.samples, prepared.images)
        ]
        judged = joined(self.detectors[model], pieces, with_photograph=True)
        self._seen(model, judged)
        return {
            "model": model,
            "verdict": judged.verdict,
            "score": judged.score,
            "normalised": judged.normalised,
            "threshold": judged.threshold,
            "height": shape[0],
            "width": shape[1],
            "regions": [region.as_dict() for region in judged.regions],
            "map": base64.b64encode(map_of(judged, shown)).decode() if shown != NONE else None,
        }

    def _seen(self, model: str, judged: Judgement) -> None:
        self.counts.judged(model, judged.verdict)
        with self.lock:
            line = self.drift[model].see([judged.score])
        if line:
            self.tell(f"{model}: {line}")

    def health(self) -> dict:
        return {"status": "ok", "models": {name: self.about(name) for name in self.detectors}}

    def about(self, name: str) -> dict:
        detector, picture = self.detectors[name], self.drift[name].picture
        return {
            "method": detector.method,
            "backbone": detector.backbone.label,
            "runs_on": detector.runs_on,
            "threshold": detector.scales.image.threshold if detector.scales.known else None,
            "remark": detector.remark,
            "drift": {
                "state": picture.state,
                "says": str(picture),
                "photographs": picture.number,
                "median": picture.median,
                "above_threshold": picture.above,
            },
        }

    def metrics(self) -> Iterator[str]:
        """Lines in the format of Prometheus."""
        yield from self.counts.lines()
        pictures = {name: each.picture for name, each in self.drift.items()}
        for name, text, value in (
            ("drift", "1 where photographs no longer score as they did.", lambda p: p.drifted),
            ("window", "Photographs that the figures below are of, the last ones.", lambda p: p.number),
            ("window_median", "Median of their scores: 0.5 at the threshold, 0.25 good ones.", lambda p: p.median),
            ("window_above", "Part of them that is above the threshold.", lambda p: p.above),
            (
                "window_larger",
                "Probability that one not above it scores more than a reference: 0.5 where nothing has changed.",
                lambda p: p.finding and p.finding.larger,
            ),
        ):
            values = ((value(picture), {"model": model}) for model, picture in pictures.items())
            yield from family(f"anomaly_{name}", text, values=values)
        waiting = ((len(queue), {"model": model}) for model, queue in list(self.batches.waiting.items()))
        yield from family("anomaly_waiting", "Pictures that wait for the network.", values=waiting)
        yield from family("anomaly_memory_bytes", "Memory of the process.", values=[(resident(), {})])


def map_of(judged: Judgement, shown: str) -> bytes:
    """A PNG. grey: 16 bits, 32768 at the threshold; overlay: the photograph with what was found drawn on it; heat: to
    be laid over the photograph, of its proportions."""
    if shown == OVERLAY:
        return encode(pictures.on_photograph(judged), ".png")
    return maps.grey(judged) if shown == GREY else heat(judged)


def heat(judged: Judgement) -> bytes:
    """Worked out at the size at which it is shown."""
    whole = judged.shape or judged.map.shape
    step = -(-max(whole) // SHOWN)
    small = tuple(max(1, side // step) for side in whole)
    level = np.zeros(small, np.float32)
    if judged.transform is None or isinstance(judged.transform, Tiles):  # the map has the photograph's size
        parts = judged.map[: small[0] * step, : small[1] * step].reshape(small[0], step, small[1], step)
        values, place = parts.max(axis=(1, 3)), ...
    else:
        values, place = judged.transform.back(judged.map, small)
    level[place] = pictures.levels(values, judged.scales.pixel)
    strength = np.rint(255 * np.clip((level - COLD) / (WARM - COLD), 0, 1)).astype(np.uint8)
    bgra = np.dstack([pictures.heat(level)[..., ::-1], strength])
    return cv2.imencode(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
