"""Says how good the maps and scores are that a device has made with an exported {title}.

python {method}/postprocess.py --result_dir device/result --label_dir device/label --category bottle
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.commands import common, results
from anomaly.commands.common import Chosen
from anomaly.deploy import description, exchange
from anomaly.deploy.description import Description
from anomaly.methods import Method
from anomaly.run.errors import DataError
from anomaly.run.files import require_writable
from anomaly.run.lock import locked
from anomaly.run.options import POSTPROCESS
from anomaly.run.progress import logging_to
from anomaly.show import tables


def flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--result_dir", type=Path, required=True, help="what the device has written")
    group.add_argument("--label_dir", type=Path, required=True, help="the folder label/ that preprocess.py wrote")
    group.add_argument("--model_path", type=Path, help="the model that was run; default: that of preprocess.py")


def run(method: Method, argv: Optional[Sequence[str]] = None) -> None:
    chosen = common.parse(method, POSTPROCESS, text=str(__doc__), argv=argv, own=flags)
    args, config = chosen.args, chosen.open
    name = chosen.one_category()
    index = exchange.read_index(args.label_dir)
    if (index["method"], index["category"]) != (method.name, name):
        raise DataError(f"{args.label_dir}: is of {index['method']}, category {index['category']}")
    folder = Path(config.output_dir) if config.output_dir else args.result_dir
    model = described(chosen, index)
    scales = model.at(chosen.given)
    returned = exchange.Returned(args.label_dir, args.result_dir, index=index, scales=scales)
    require_writable(folder)
    with locked(folder), logging_to(folder / "postprocess.log"):
        about = tables.about(
            method.name, name, backbone=model.backbone, remark=model.remark, scales=scales, trained_on=0
        )
        results.write(
            returned,
            len(returned),
            folder=folder,
            most=config.pictures,
            about=about,
            good=(model.calibration, scales),
            table="figures.csv",  # results.csv may be the device's
        )


def described(chosen: Chosen, index: dict) -> Description:
    """What is known of the model that was run."""
    if not chosen.args.model_path and not index["model"]:
        return description.unknown(chosen.method.name)
    source = chosen.args.label_dir / exchange.INDEX
    path = chosen.args.model_path
    model = description.read(path) if path else description.parse(index["model"], source, model=source)
    model.require_method(chosen.method.name)
    if model.category != index["category"]:
        print(f"note: {path or source} is of category {model.category}", file=sys.stderr)
    return model
