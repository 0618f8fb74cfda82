"""What several commands share: their flags, where results go, one run for each category, what is said at the start."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional

from anomaly import config as options
from anomaly.config import GROUPS, Config
from anomaly.data import sources
from anomaly.data.images import size_of
from anomaly.data.samples import Category
from anomaly.data.tiles import Tiles
from anomaly.data.transform import Transform
from anomaly.deploy import description, exported, state
from anomaly.deploy.exported import Exported
from anomaly.measure.calibration import changed
from anomaly.methods import Method
from anomaly.networks.registry import Backbone
from anomaly.run.errors import DataError, UsageError, tell
from anomaly.run.files import HOME
from anomaly.run.flags import Parser, add_flags, given
from anomaly.run.options import EXPORT, untrained
from anomaly.run.progress import log
from anomaly.show import tables
from anomaly.show.report import categories, page

MODEL = ("--model_path", "an exported .mindir or .onnx, instead of a trained state")


@dataclass(frozen=True)
class Chosen:
    """What the command line and --config say, each option parsed once."""

    method: Method
    args: argparse.Namespace  # the flags that are not options of the method
    given: dict  # the options

    @cached_property
    def open(self) -> Config:
        """The options that training does not decide."""
        return untrained(self.method.config, self.given)

    @cached_property
    def resolved(self) -> Config:
        """All options, as training takes them."""
        return options.resolve(self.method.config, self.given, presets=self.method.presets)

    @property
    def output(self) -> Path:
        folder = self.given.get("output_dir")
        return Path(folder) if folder else HOME / "output" / self.method.name

    @property
    def categories(self) -> tuple:
        return self.given.get("category", ())

    def one_category(self, hint: str = "") -> str:
        if len(self.categories) != 1 or self.categories == ("all",):
            raise UsageError(f"--category is needed{hint}: the name of one category")
        return self.categories[0]


def parse(method: Method, command: str, *, text: str, argv: Optional[Sequence[str]], own: Callable) -> Chosen:
    """`own`: adds the command's own flags to a group, which come first."""
    parser = Parser(text.format(method=method.name, title=method.title))
    own(parser.add_argument_group("options of this command alone"))
    add_flags(parser, method.config, command=command, titles=GROUPS)
    more = parser.add_argument_group("more")
    more.add_argument("--config", type=Path, help="YAML file with options; the command line overrides it")
    more.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(argv)
    at = getattr(args, "ckpt_path", None)
    if at and getattr(args, "part", "") == "backbone":
        args.pre_ckpt_path = args.pre_ckpt_path or str(at)
    elif at:  # it stands for the folder and the category in which it lies
        folder = state.folder_of(at)
        args.output_dir, args.category = str(folder.parent), args.category or [folder.name]
    return Chosen(method, args, given(method.config, args))


def add_checkpoint(group: argparse._ArgumentGroup, command: str) -> None:
    aliases = ("--ckpt_file", "--state") if command == EXPORT else ()
    group.add_argument("--ckpt_path", *aliases, type=Path, help="the trained state, its folder or a file in it")


def choose_categories(chosen: Chosen) -> list:
    """The categories asked for, after checking that they are there."""
    source = sources.of(chosen.given)
    if sources.own_folders(source) and not source.good:
        raise UsageError("--good is needed beside --bad, --masks and --test_good: photographs of good parts")
    return sources.categories(source)


def trained_categories(chosen: Chosen) -> list:
    """The same for what comes after training, where a category that was trained says where its photographs are."""
    if sources.given(chosen.given):
        return sources.categories(sources.of(chosen.given))
    there = state.trained_in(chosen.output)
    if not chosen.categories:
        raise UsageError(f"--category is needed (trained: {', '.join(there) or 'none'}), or --dataset_path, or --good")
    return there if chosen.categories == ("all",) and "all" not in there else list(chosen.categories)


def trained_data(chosen: Chosen, name: str) -> Category:
    """Photographs to evaluate on: what the command line leaves open is as in the training of this category."""
    source = sources.of(sources.kept(_trained(chosen, name), chosen.given))
    if not sources.given(vars(source)):
        raise UsageError("--dataset_path or --good is needed: the training of this category does not say where it was")
    try:
        return sources.load(source, name)
    except DataError as error:
        if sources.given(chosen.given):
            raise
        raise DataError(f"{error} (as in training); say where they are: --dataset_path, or --good and --bad") from None


def _trained(chosen: Chosen, name: str) -> dict:
    """The options of the training of a category; an exported model may be without."""
    folder = chosen.output / name
    try:
        found = state.read(folder)
        found.require_method(chosen.method.name)
        return found.options(chosen.method.config)
    except DataError:
        if chosen.args.model_path is None:
            raise
        return {}


def category_of_model(chosen: Chosen) -> str:
    """What the user calls it, or what its description says."""
    if chosen.categories:
        return chosen.one_category()
    return description.read(chosen.args.model_path).category


def open_model(chosen: Chosen) -> Exported:
    """The model of --model_path, with the threshold asked for or its own."""
    path, config = chosen.args.model_path, chosen.open
    detector = exported.load(path, config.device_target, device_id=config.device_id, engine=config.engine)
    detector.about.require_method(chosen.method.name)
    view = detector.transform
    tile, resize = (view.resize, None) if isinstance(view, Tiles) else (None, view.resize)
    decided = {"resize": resize, "crop": view.crop, "tile": tile, "roi": view.region, "keep_aspect": view.keep_aspect}
    decided |= {"backbone": detector.backbone.name, "precision": detector.about.precision}
    for name, value in decided.items():
        if name in chosen.given and chosen.given[name] != value:
            raise DataError(f"{path}: has {name} {value}, not {chosen.given[name]}; leave --{name} out")
    if chosen.categories and detector.category not in chosen.categories and chosen.categories != ("all",):
        print(f"note: {path} is of category {detector.category}", file=sys.stderr)
    choice = changed(detector.scales.choice, chosen.given)
    return detector if choice is None else detector.with_choice(choice)


def announce(
    method: str, transform: Transform, *, data: Category, backbone: Backbone, where: str, trains: bool
) -> None:
    good = f"{len(data.train)} good images to train on, " if trains else ""
    images = f"{good}{len(data.test)} test images"
    log.info("%s, category %s: %s; %s, %s, on %s", method, data.name, images, backbone.name, transform, where)
    if data.note:
        log.info("%s", data.note)
    log.info("%s", tables.RANDOM_MARK if backbone.is_random else f"weights: {backbone.source}")


def advise(transform: Transform, samples: tuple) -> None:
    """One line where photographs are shown in other proportions than their own, by the first that can be read."""
    for sample in samples[:1]:
        try:
            shape = size_of(sample.path) if sample.pixels is None else sample.pixels.shape[:2]
        except DataError:
            return
        better = transform.undistorted(shape)
        if better:
            log.info(
                "note: the photographs are %d x %d (width x height), shown as %d x %d; --resize %d %d --crop none "
                "keeps their proportions, and so does --keep_aspect true",
                *(*shape[::-1], *transform.size[::-1], *better),
            )


def each(names: list, run: Callable, *, output: Path) -> int:
    """Runs every category. Of several: one that fails does not keep the others from running, and a table shows all.

    The page in `output` that links the reports of all categories is written for several, and kept up to date for one.
    """
    if page.NAME in names:
        raise DataError(f"{output / page.NAME}: is where the results of all go; give the category another name")
    if len(names) > 1:
        page.require_place(output)
    found: dict[str, dict] = {}
    failed: dict[str, str] = {}
    for name in names:
        if len(names) > 1:
            print(f"\n== {name}", flush=True)
        try:
            results = run(name)
        except DataError as error:
            if len(names) == 1:
                raise
            tell(error)
            failed[name] = str(error)
            continue
        if results:  # of several processes only one has any
            found[name] = results
    if found and (len(names) > 1 or categories.is_there(output)):
        categories.write(output, found, failed=failed)
    if len(names) > 1 and found:
        print(f"\nreport: {output / page.NAME}\n\n{tables.table(list(found.values()))}")
    if failed:
        raise DataError(f"failed: {', '.join(failed)}")
    return 0
