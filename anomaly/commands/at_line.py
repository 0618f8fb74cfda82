"""What the commands for a line share: which detector, its threshold, and how many photographs tell of drift."""

import argparse
from pathlib import Path

from anomaly.detector import Detector
from anomaly.line.drift import WINDOW
from anomaly.run.device import TARGETS
from anomaly.run.errors import UsageError
from anomaly.run.flags import checked
from anomaly.run.options import finite, rate

# What options may be, also where they are written as inf or nan, which no clock and no memory can take.
BOUNDS = {
    "drift_window": (20, 1_000_000),
    "batch_size": (1, 10_000),
    "interval": (0.01, 86_400),
    "patience": (0, 86_400),
    "port": (0, 65_535),
    "most_megabytes": (0.001, 100_000),
    "most_megapixels": (0.001, 100_000),
    "most_seconds": (0.001, 86_400),
    "most_requests": (1, 100_000),
}


def add_detector(parser: argparse.ArgumentParser, *, several: bool) -> None:
    what = "an exported .onnx or .mindir, or the folder of a trained state"
    if several:
        what += "; NAME=PATH gives it a name, several are allowed"
    parser.add_argument("--model", required=True, action="append" if several else "store", help=what)
    text = "part of good photographs that may be called anomalous"
    parser.add_argument("--false_alarm_rate", type=checked(rate), help=text)
    parser.add_argument("--threshold", type=checked(finite), help="the score above which a photograph is anomalous")
    parser.add_argument("--device_target", choices=TARGETS, help="left out: the best that is present")


def add_drift(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--drift_window",
        type=int,
        default=WINDOW,
        help="the last photographs that are held against those of training (default: %(default)s)",
    )


def require_within(**values: float) -> None:
    for name, value in values.items():
        least, most = BOUNDS[name]
        if not least <= value <= most:
            raise UsageError(f"--{name}: {value} is not allowed ({least} to {most})")


def opened(model: str, args: argparse.Namespace) -> Detector:
    """The detector at a path, with the threshold asked for."""
    from anomaly.deploy.loading import load

    require_within(drift_window=args.drift_window)
    names = ("false_alarm_rate", "threshold", "device_target")
    return load(Path(model), **{name: getattr(args, name) for name in names if getattr(args, name) is not None})
