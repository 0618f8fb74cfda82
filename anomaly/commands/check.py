"""Says what would be used of photographs, and what is wrong with them, before a training.

anomaly check photos --category bottle
anomaly check --good lots/ok --bad lots/nok --masks lots/masks
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from anomaly.data import check, check_report, layouts, sources
from anomaly.data.check import Report
from anomaly.data.sources import Source
from anomaly.run.errors import DataError, UsageError, explain
from anomaly.run.files import read_json, require_own, write_json
from anomaly.run.flags import Parser, add_flags, given
from anomaly.run.options import CHECK, option, positive
from anomaly.run.progress import Bars, Counter

TITLES = {"data": "photographs", "run": "how it runs"}


@dataclass(frozen=True)
class Checked(Source):
    workers: int = option(4, positive, "threads that decode images", group="run", commands=(CHECK,))


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = Parser(str(__doc__))
    own = parser.add_argument_group("of this command alone")
    own.add_argument("data", nargs="?", help="the folder that holds the categories, or one of them, or a .csv file")
    own.add_argument("--json", type=Path, help="write what was found to this file too")
    add_flags(parser, Checked, command=CHECK, titles=TITLES)
    more = parser.add_argument_group("more")
    more.add_argument("--config", type=Path, help="YAML file with options; the command line overrides it")
    more.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(argv)
    source, names = found(args)
    if args.json:
        require_place(args.json, source, names=names)
    reports = [checked(source, name) for name in names]
    if args.json:
        write_json(args.json, {"checked": [check_report.as_data(report) for report in reports]})
    return DataError.exit_code if any(report.stops for report in reports) else 0


def found(args: argparse.Namespace) -> tuple:
    """What the command line says, and the names of the categories; without a name all of a data set."""
    chosen = given(Checked, args)
    if args.data is not None:
        if chosen.get("dataset_path"):
            raise UsageError(f"{args.data} and --dataset_path are the same option; leave one out")
        chosen["dataset_path"] = args.data
    place = Path(chosen.get("dataset_path") or ".")
    itself = chosen.get("dataset_path") and place.is_dir() and not layouts.alone(place, chosen.get("layout", "auto"))
    if itself and "category" not in chosen and layouts.recognised(place, chosen.get("layout", "auto")):
        place = place.resolve()
        chosen |= {"dataset_path": str(place.parent), "category": (place.name,)}
    elif chosen.get("dataset_path") and place.is_dir():
        chosen.setdefault("category", () if layouts.alone(place, chosen.get("layout", "auto")) else ("all",))
    source = Checked(**chosen)
    return source, sources.categories(source)


def checked(source: Checked, name: str) -> Report:
    """One category, told as soon as it is done."""
    try:
        category = sources.load(source, name)
    except UsageError:
        raise
    except (DataError, OSError) as error:
        report = check.of_error(name, explain(error)[1])
    else:
        with Counter(Bars(), "checking", total=len(category.train) + len(category.test)) as count:
            folders = [place for place in sources.places(source, name) if place.is_dir()]
            report = check.check(category, folders=folders, workers=source.workers, count=count)
    print("\n".join(check_report.lines(report)), flush=True)
    return report


def require_place(path: Path, source: Source, *, names: list) -> None:
    """Nothing is written among the photographs, or over what another program has written."""
    for name in names:
        for root in sources.roots(source, name):
            if path.resolve().is_relative_to(root.resolve()):
                raise DataError(f"--json {path}: is among the photographs; choose another place")
    try:
        is_own = "checked" in read_json(path)
    except (OSError, DataError, TypeError):
        is_own = False
    require_own(path, is_own=is_own)
