"""Trains several methods with several networks on the same photographs, and puts their results side by side.

anomaly compare --dataset_path photos --category bottle
anomaly compare --good lots/ok --bad lots/nok --methods patchcore,padim --backbones resnet18,efficientnet_lite0

Each training is a process of its own, one after the other. Started again with the same options and photographs, it goes
on where it stopped. An option that only one method has is passed to that method only.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from anomaly import methods
from anomaly.commands import compare_overview, compare_pages, compare_runs
from anomaly.commands.compare_runs import Run
from anomaly.config import GROUPS
from anomaly.data import sources
from anomaly.data.sources import Source
from anomaly.networks import fetch, registry
from anomaly.run import device
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import HOME, require_writable
from anomaly.run.flags import Parser, add_flags, given
from anomaly.run.lock import locked
from anomaly.run.options import TRAIN, Options, names
from anomaly.run.progress import TimeLeft

FIRST = ("efficientnet_lite0", "resnet18", "wide_resnet50")  # networks that are compared where their weights are here
OWN = ("backbone", "output_dir", "update", "resume")  # options of training that mean nothing here, or another thing


@dataclass(frozen=True)
class Asked:
    methods: tuple
    backbones: tuple  # () for those whose weights are here
    given: dict
    output: Path


def main(argv: Optional[Sequence[str]] = None) -> int:
    asked = parsed(argv)
    source = sources.of(asked.given)
    categories = sources.categories(source)
    pairs = chosen_pairs(asked)
    require_some(source, categories)
    compare_pages.require_place(asked.output)
    require_writable(asked.output)
    device.end_in_order()
    with locked(asked.output):
        found = compared(asked, source, categories=categories, pairs=pairs)
    failed = [row for rows in found.values() for row in rows if row.reason]
    if failed:
        listed = ", ".join(f"{row.method} with {row.backbone} ({row.category})" for row in failed)
        raise DataError(f"failed: {listed}")
    return 0


def compared(asked: Asked, source: Source, *, categories: list, pairs: list) -> dict:
    """Category -> the row of each run."""
    found: dict[str, list] = {}
    left = TimeLeft(len(categories) * len(pairs))
    for category in categories:
        photographs, found[category] = compare_runs.identity(source, category), []
        for method, name in pairs:
            run = Run(asked.output, category, method, name, asked.given)
            found[category].append(compare_runs.row(run, photographs, place=left.next("run")))
    print(compare_pages.write(found, asked.output), end="")
    print(f"report: {compare_overview.write(found, asked.output)}")
    return found


def require_some(source: Source, categories: list) -> None:
    """Where no category has photographs, nothing is begun, and a former comparison stays."""
    reasons = []
    for name in categories:
        try:
            sources.load(source, name)
        except DataError as error:
            reasons.append(error)
    if len(reasons) == len(categories):
        raise reasons[0]


def parsed(argv: Optional[Sequence[str]]) -> Asked:
    there = methods.names()
    options = union([methods.get(name).config for name in there])
    parser = Parser(str(__doc__))
    own = parser.add_argument_group("of this command alone")
    own.add_argument("--methods", nargs="+", metavar="METHODS", help=f"which to compare (default: {','.join(there)})")
    own.add_argument(
        "--backbones",
        nargs="+",
        metavar="BACKBONES",
        help="with which networks; left out: efficientnet_lite0, resnet18 and wide_resnet50, as far as their weights "
        "are on this machine",
    )
    own.add_argument(
        "--output_dir", type=Path, default=HOME / "output" / "compare", help="folder for the table and all results"
    )
    add_flags(parser, options, command=TRAIN, titles=GROUPS)
    more = parser.add_argument_group("more")
    more.add_argument("--config", type=Path, help="YAML file with options; the command line overrides it")
    more.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(argv)
    chosen = listed(args.methods, otherwise=there)
    unknown = [name for name in chosen if name not in there]
    if unknown:
        raise UsageError(f"--methods {unknown[0]}: no such method; there are {', '.join(there)}")
    backbones = tuple(checked_network(name) for name in listed(args.backbones, otherwise=()))
    found = given(options, args)
    require_known(found, chosen)
    return Asked(chosen, backbones, found, args.output_dir)


def union(configs: list) -> type[Options]:
    """The options of all methods as one class. Where their defaults differ, --help names none."""
    specs: dict[str, dataclasses.Field] = {}
    for config in configs:
        for spec in dataclasses.fields(config):
            known = specs.get(spec.name)
            if spec.name in OWN:
                continue
            default: Any = spec.default if known is None or known.default == spec.default else ""
            default = compare_runs.FIXED.get(spec.name, default)
            specs[spec.name] = dataclasses.field(default=default, metadata=spec.metadata)
            specs[spec.name].type = spec.type
    fields = [(name, spec.type, spec) for name, spec in specs.items()]
    return dataclasses.make_dataclass("Compared", fields, bases=(Options,), frozen=True)


def listed(words: Optional[list], *, otherwise: tuple) -> tuple:
    found = tuple(dict.fromkeys(names(",".join(words or ()))))
    if words and not found:
        raise UsageError("--methods, --backbones: one name is needed, or several with commas between")
    return found or otherwise


def checked_network(name: str) -> str:
    try:
        return registry.get(name).name
    except UsageError as error:
        raise UsageError(str(error).replace("backbone:", "--backbones:", 1)) from None


def require_known(found: dict, chosen: tuple) -> None:
    """An option that none of the methods compared knows would be lost without a word."""
    for name in found:
        if not any(name in compare_runs.known_names(method) for method in chosen):
            raise UsageError(f"--{name}: none of {', '.join(chosen)} knows it")


def chosen_pairs(asked: Asked) -> list:
    """Method and network of each run."""
    if asked.backbones:
        return [(method, name) for method in asked.methods for name in asked.backbones]
    place = asked.given.get("pre_ckpt_path", "")
    if place == registry.RANDOM:
        return [(method, name) for method in asked.methods for name in FIRST[:2]]
    if place and not Path(place).is_dir():
        raise UsageError(f"--pre_ckpt_path {place}: is the file of one network; say of which with --backbones")
    found = [(method, name) for method in asked.methods for name in FIRST if has_weights(method, name, place=place)]
    if not found:
        raise DataError(f"no weights of {', '.join(FIRST)} are here: {fetch.command('NAME')}, or name --backbones")
    return found


def has_weights(method: str, name: str, *, place: str) -> bool:
    face = methods.get(method)
    try:
        return Path(face.weights_of(face.options(backbone=name, pre_ckpt_path=place))).is_file()
    except UsageError:  # a network that the method cannot use as it is
        return Path(fetch.checkpoint(place, next(iter(registry.get(name).weights)))).is_file()
