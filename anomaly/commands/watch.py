"""Judges photographs as they appear in a folder, and writes a line about each.

anomaly watch photos/in --model bottle.onnx --results verdicts.csv
anomaly watch photos/in --model output/patchcore/bottle --results verdicts.jsonl --move_anomalous photos/out

Started again with the same results it goes on: what is in them is not judged again. Ctrl-C or a SIGTERM ends it after
the photographs at hand.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Optional

from anomaly.commands.at_line import add_detector, add_drift, opened, require_within
from anomaly.detector import Detector
from anomaly.line import aside
from anomaly.line.arrivals import PATIENCE, Arrivals
from anomaly.line.drift import WINDOW, Drift
from anomaly.line.journal import Journal
from anomaly.line.uploads import Limits
from anomaly.line.watching import Watch
from anomaly.measure.judgement import Judgement
from anomaly.run import device
from anomaly.run.errors import DataError, UsageError
from anomaly.run.flags import Parser
from anomaly.run.streams import shown

INTERVAL = 1.0
MEGAPIXELS = 200.0
MEGABYTES = 1000.0  # so many pixels in a file that does not pack them


def main(argv: Optional[Sequence[str]] = None) -> int:
    args = parser().parse_args(argv)
    device.end_in_order()
    return follow(
        opened(args.model, args),
        args.folder,
        results=args.results,
        interval=args.interval,
        batch_size=args.batch_size,
        megabytes=args.most_megabytes,
        megapixels=args.most_megapixels,
        patience=args.patience,
        window=args.drift_window,
        put_aside=chosen_aside(args),
        once=args.once,
    )


def parser() -> argparse.ArgumentParser:
    made = Parser(str(__doc__))
    made.add_argument("folder", type=Path, help="where photographs appear, also in folders below it")
    add_detector(made, several=False)
    made.add_argument("--results", type=Path, required=True, help=".csv or .jsonl, a line a photograph")
    made.add_argument("--move_anomalous", type=Path, metavar="FOLDER", help="moves them there, once written down")
    made.add_argument("--link_anomalous", type=Path, metavar="FOLDER", help="links them there")
    made.add_argument("--interval", type=float, default=INTERVAL, help="seconds between looks (default: %(default)s)")
    made.add_argument(
        "--patience",
        type=float,
        default=PATIENCE,
        help="seconds that a photograph may stand still and not be whole, before it counts as damaged "
        "(default: %(default)s)",
    )
    made.add_argument(
        "--most_megabytes", type=float, default=MEGABYTES, help="of a photograph's file (default: %(default)s)"
    )
    made.add_argument(
        "--most_megapixels", type=float, default=MEGAPIXELS, help="of a photograph (default: %(default)s)"
    )
    made.add_argument("--batch_size", type=int, default=8, help="photographs at once (default: %(default)s)")
    add_drift(made)
    made.add_argument("--once", action="store_true", help="end when all that is there has been judged")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def chosen_aside(args: argparse.Namespace) -> Optional[tuple]:
    if args.move_anomalous and args.link_anomalous:
        raise UsageError("--move_anomalous and --link_anomalous: one of them")
    if args.move_anomalous:
        return args.move_anomalous, aside.MOVE
    return (args.link_anomalous, aside.LINK) if args.link_anomalous else None


def follow(
    detector: Detector,
    folder: Path,
    *,
    results: Path,
    interval: float = INTERVAL,
    batch_size: int = 8,
    workers: int = 4,
    megabytes: float = MEGABYTES,
    megapixels: float = MEGAPIXELS,
    patience: float = PATIENCE,
    window: int = WINDOW,
    put_aside: Optional[tuple] = None,
    once: bool = False,
    also: Optional[Callable[[Judgement], None]] = None,
    apart: tuple = (),
) -> int:
    """Until a signal comes, after which the photographs at hand are written down. Returns the exit code.

    `also` is called with each judgement, in threads; `apart`: folders of results, which are not watched.
    """
    require_within(interval=interval, batch_size=batch_size, patience=patience)
    require_within(most_megabytes=megabytes, most_megapixels=megapixels)
    if not folder.is_dir():
        raise DataError(f"{folder}: {'is not a folder' if folder.exists() else 'no such folder'}")
    folder = Path(os.path.abspath(folder))  # so that results stay true where the program is started elsewhere
    stop, came = stopped_by_signals()
    with Journal(results) as journal:
        apart = tuple(each.resolve() for each in (*apart, *(put_aside or ())[:1]))
        if folder.resolve() in apart:
            raise UsageError(f"{folder}: what is watched cannot be a folder of results too")
        watch = Watch(
            detector,
            Arrivals(folder, journal.done, tell, apart, patience),
            journal,
            Drift(detector.calibration, detector.scales, window=window),
            say=say,
            tell=tell,
            batch_size=batch_size,
            workers=workers,
            limits=Limits(megabytes, megapixels),
            aside=put_aside,
            also=also,
            stop=stop,
        )
        tell(f"watching {shown(folder)}; in {shown(results)}: {counted(len(journal.done))}")
        watch.run(interval, once=once)
        return ended(watch, came)


def ended(watch: Watch, came: list) -> int:
    """Says how; the exit code. `came`: the signals that have stopped it."""
    tell(f"{'stopped; ' if came else ''}written down: {counted(watch.count)}")
    if watch.arrivals.waiting:
        tell(f"not judged yet, or not whole: {counted(len(watch.arrivals.waiting))}")
    return 128 + came[0] if came else 0


def counted(number: int) -> str:
    return f"{number} photograph{'' if number == 1 else 's'}"


def stopped_by_signals() -> tuple:
    """An event, and the numbers of the signals that have set it."""
    stop, came = Event(), []

    def note(number: int, _: object) -> None:
        came.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return stop, came


def say(line: str) -> None:
    print(line, flush=True)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
