"""What the words about drift are worth: false alarms without drift, and how soon a shift is noticed, by simulation.

python -m benchmarks.drift
"""

import argparse
import sys
import time

import numpy as np

from anomaly.line.drift import Drift
from anomaly.measure.calibration import Calibration, Choice
from anomaly.run.errors import guarded

DISTRIBUTIONS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: rng.gamma(4, size=size) / 2,  # of standard deviation 1
}


def simulated(
    *, number: int, window: int, runs: int, windows: int, seed: int = 0, kind: str = "normal", above: float = 0.0
) -> dict:
    """`number`: scores of training; `above`: by how much they are higher than others, as those left out may be."""
    rng, draw, began = np.random.default_rng(seed), DISTRIBUTIONS[kind], time.perf_counter()
    alarms, onsets, delays = 0, 0, {1: [], -1: []}
    for _ in range(runs):
        good = draw(rng, number) + above
        calibration = Calibration(good, good)
        seen, before = Drift(calibration, calibration.at(Choice()), window=window), False
        for count in range(windows * window):
            seen.see(draw(rng, 1))
            now = seen.picture.drifted
            onsets += now and not before
            alarms += now and count % window == window - 1
            before = now
        for side, found in delays.items():
            found.append(delay(calibration, window, rng=rng, draw=draw, shift=side))
    return {
        "alarms in 1000 windows": 1000 * alarms / (runs * windows),
        "beginnings of alarms in 1000 windows": 1000 * onsets / (runs * windows),
        "delay up": float(np.median(delays[1])),
        "delay down": float(np.median(delays[-1])),
        "delay up, 9 of 10": float(np.quantile(delays[1], 0.9, method="higher")),
        "seconds": time.perf_counter() - began,
    }


def delay(calibration: Calibration, window: int, *, rng: np.random.Generator, draw, shift: float) -> float:
    """Photographs until a shift of so many standard deviations is noticed; infinity after five windows."""
    seen = Drift(calibration, calibration.at(Choice()), window=window)
    seen.see(draw(rng, 4 * window))
    for count in range(1, 5 * window + 1):
        seen.see(draw(rng, 1) + shift)
        if seen.picture.drifted:
            return count
    return float("inf")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--windows", type=int, default=20)
    args = parser.parse_args()
    print(
        "| scores | of training | higher by | window | false alarms in 1000 windows | delay up | 9 of 10 | delay down |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in DISTRIBUTIONS:
        for number, above, window in (
            (24, 0, 100),
            (100, 0, 100),
            (100, 2, 100),
            (209, 0, 100),
            (100, 0, 50),
            (100, 0, 200),
        ):
            sizes = {"runs": args.runs, "windows": args.windows}
            found = simulated(number=number, window=window, kind=kind, above=above, **sizes)
            figures = [
                found[key]
                for key in ("beginnings of alarms in 1000 windows", "delay up", "delay up, 9 of 10", "delay down")
            ]
            print(
                f"| {kind} | {number} | {above} | {window} | {' | '.join(f'{each:g}' for each in figures)} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
