"""What a service has done, in the text format of Prometheus."""

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    def __init__(self, bounds: tuple) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str) -> Iterator[str]:
        below = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts):
            below += count
            yield sample(f"{name}_bucket", below, le=f"{bound:g}".replace("inf", "+Inf"))
        yield sample(f"{name}_sum", self.total)
        yield sample(f"{name}_count", below)


class Counts:
    """Everything is added to under one lock, from whichever thread."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.answers: Counter = Counter()  # by status; each key is a tuple of labels
        self.verdicts: Counter = Counter()  # by model and verdict
        self.batches: Counter = Counter()  # by model
        self.pictures: Counter = Counter()  # in them
        self.seconds = Histogram(SECONDS)

    def answered(self, status: int, seconds: float) -> None:
        with self.lock:
            self.answers[status,] += 1
            self.seconds.add(seconds)

    def judged(self, model: str, verdict: str) -> None:
        with self.lock:
            self.verdicts[model, verdict] += 1

    def batch(self, model: str, number: int) -> None:
        with self.lock:
            self.batches[model,] += 1
            self.pictures[model,] += number

    def lines(self) -> Iterator[str]:
        with self.lock:
            for name, text, labels, counter in (
                ("answers", "Answers to /predict, by HTTP status.", ("status",), self.answers),
                ("photographs", "Photographs that were judged.", ("model", "verdict"), self.verdicts),
                ("batches", "Times that a network was called.", ("model",), self.batches),
                ("pictures", "Pictures that it saw.", ("model",), self.pictures),
            ):
                values = ((count, dict(zip(labels, key))) for key, count in sorted(counter.items()))
                yield from family(f"anomaly_{name}_total", text, values=values)
            yield from head("anomaly_answer_seconds", "From the head of a request to its answer.", kind="histogram")
            yield from self.seconds.lines("anomaly_answer_seconds")


def head(name: str, text: str, *, kind: str) -> tuple:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def family(name: str, text: str, *, values: Iterable[tuple]) -> Iterator[str]:
    """`values`: each with its labels; what is not known is left out. Counters are those that end with _total."""
    yield from head(name, text, kind="counter" if name.endswith("_total") else "gauge")
    yield from (sample(name, value, **labels) for value, labels in values if value is not None)


def sample(name: str, value: float, **labels: Any) -> str:
    listed = ",".join(f'{key}="{escaped(str(label))}"' for key, label in labels.items())
    return f"{name}{{{listed}}} {float(value):.10g}" if listed else f"{name} {float(value):.10g}"


def escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
