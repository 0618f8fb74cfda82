"""Prepares the test photographs of a category for a device that runs an exported {title}.

python {method}/preprocess.py --dataset_path data --category bottle --output_dir device --model_path bottle.mindir
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.commands import common
from anomaly.data import sources
from anomaly.data.samples import Category
from anomaly.data.tiles import Tiles
from anomaly.deploy import description, exchange
from anomaly.methods import Method
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import require_writable
from anomaly.run.lock import locked
from anomaly.run.options import PREPROCESS
from anomaly.run.progress import Bars


def flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--model_path", type=Path, help="prepare for this model; default: as the preset and flags say")


def require_apart(data: Category, folder: Path) -> None:
    """What is written, here and by what judges, is not written over photographs or masks."""
    written = [(folder / part).resolve() for part in (*exchange.PARTS, exchange.RESULT)]
    for sample in (*data.train, *data.test):
        for file in (sample.path, *sample.masks):
            itself = file.resolve()
            if any(itself.is_relative_to(place) for place in written):
                raise DataError(f"{file}: lies where this is written; choose another --output_dir")


def run(method: Method, argv: Optional[Sequence[str]] = None) -> None:
    chosen = common.parse(method, PREPROCESS, text=str(__doc__), argv=argv, own=flags)
    config = chosen.resolved
    source = sources.of(config)
    if not sources.own_folders(source) and not config.dataset_path.lower().endswith(".csv"):  # these have a name
        chosen.one_category()
    if not config.output_dir:
        raise UsageError("--output_dir is needed: the folder for img/ and label/")
    [name], folder = common.choose_categories(chosen), Path(config.output_dir)
    model = description.read(chosen.args.model_path) if chosen.args.model_path else None
    if model:
        model.require_method(method.name)
    transform = model.known_transform if model else config.transform
    if isinstance(transform, Tiles):
        reason = "a model of tiles takes photographs as they are: give them to anomaly_infer with --preprocess y"
        raise DataError(f"{chosen.args.model_path}: {reason}") if model else UsageError(f"--tile: {reason}")
    if any(folder.resolve().is_relative_to(root.resolve()) for root in sources.roots(source, name)):
        raise DataError(f"{folder}: is among the photographs; choose another --output_dir")
    data = sources.load(source, name)
    require_apart(data, folder)
    require_writable(folder)
    if not data.test:
        if sources.own_folders(source):
            raise DataError("no photograph to test on: give --bad or --test_good, or more than one to --good")
        raise DataError(f"{sources.roots(source, name)[0] / 'test'}: holds no image to test on")
    about = {"method": method.name, "category": name, "model": model.content if model else None}
    with locked(folder):
        exchange.write(data, transform, folder=folder, workers=config.workers, about=about, callback=Bars())
    print(f"{len(data.test)} images of {transform.size}: {folder}")
