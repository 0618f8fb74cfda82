"""Pictures that arrive one by one go through the network together, as many as have come by the time it is free."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from anomaly.detector import Detector


class Closed(Exception):
    """No more is taken."""


class Waiting(NamedTuple):
    image: np.ndarray  # H W 3
    answer: Future  # of its map, H W, and its score


class Batches:
    """One thread that scores for all detectors: what comes alone is taken at once, what comes meanwhile waits and is
    taken together. `size`: pictures at once, where the detector does not say.
    """

    def __init__(self, detectors: dict[str, Detector], *, size: int = 8) -> None:
        self.detectors = detectors
        self.sizes = {name: batch_size(detector, size) for name, detector in detectors.items()}
        self.waiting: dict[str, deque] = {name: deque() for name in detectors}
        self.told = threading.Condition()
        self.closed = False
        self.on_batch: Callable[[str, int], None] = lambda name, number: None
        self.thread = threading.Thread(target=self._work, name="scores", daemon=True)
        self.thread.start()

    def add(self, name: str, image: np.ndarray) -> Future:
        answer: Future = Future()
        with self.told:
            if self.closed:
                raise Closed
            self.waiting[name].append(Waiting(image, answer))
            self.told.notify()
        return answer

    def close(self) -> None:
        """Takes nothing more, and returns when what waited has its answer."""
        with self.told:
            self.closed = True
            self.told.notify()
        self.thread.join()

    def _work(self) -> None:
        while True:
            with self.told:
                self.told.wait_for(lambda: self.closed or any(self.waiting.values()))
                names = [name for name, queue in self.waiting.items() if queue]
                if not names:
                    return
                name = names[0]
                queue = self.waiting.pop(name)
                self.waiting[name] = queue  # the others come before it the next time
                taken = [queue.popleft() for _ in range(min(self.sizes[name], len(queue)))]
            self._score(name, [each for each in taken if each.answer.set_running_or_notify_cancel()])

    def _score(self, name: str, taken: list) -> None:
        if not taken:
            return
        self.on_batch(name, len(taken))
        try:
            images = np.stack(filled([each.image for each in taken], self.detectors[name]))
            maps, scores = self.detectors[name].score(images)
        except BaseException as error:
            for each in taken:
                each.answer.set_exception(error)
            return
        for number, each in enumerate(taken):
            each.answer.set_result((maps[number], float(scores[number])))


def batch_size(detector: Detector, asked: int) -> int:
    """What an exported model takes at once, or what was asked for."""
    return getattr(getattr(detector, "about", None), "batch", None) or asked


def filled(images: list, detector: Detector) -> list:
    """MindSpore compiles every new number of pictures, so there it sees 1, 2, 4, 8, ... of them."""
    if detector.runs_beside:
        return images
    return images + images[-1:] * ((1 << (len(images) - 1).bit_length()) - len(images))
