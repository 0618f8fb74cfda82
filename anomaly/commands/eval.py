"""Evaluates a trained {title}, or a model exported from it, on the test images.

python {method}/eval.py --dataset_path data --category bottle [--model_path bottle.onnx]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.commands import common, results
from anomaly.commands.common import MODEL, Chosen
from anomaly.deploy import state
from anomaly.deploy.exported import Exported
from anomaly.detector import Fitted
from anomaly.methods import Method
from anomaly.run import device
from anomaly.run.files import require_writable
from anomaly.run.lock import locked
from anomaly.run.options import EVAL
from anomaly.run.progress import Phases, logging_to


def flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(MODEL[0], type=Path, help=MODEL[1])
    common.add_checkpoint(group, EVAL)


def run(method: Method, argv: Optional[Sequence[str]] = None) -> int:
    chosen = common.parse(method, EVAL, text=str(__doc__), argv=argv, own=flags)
    names = common.trained_categories(chosen)
    if chosen.args.model_path is None:
        device.use(chosen.open.device_target, chosen.open.device_id)
    device.end_in_order()
    model = common.open_model(chosen) if chosen.args.model_path else None
    return common.each(names, lambda name: evaluate(chosen, name, model=model), output=chosen.output)


def evaluate(chosen: Chosen, name: str, *, model: Optional[Exported]) -> dict:
    folder = chosen.output / name
    found = None if model else state.read(folder)
    require_writable(folder)
    wanted = results.animation_of(folder, chosen.open)
    results.require_places(folder, pictures=chosen.open.pictures, gif=wanted)
    with locked(folder), logging_to(folder / "eval.log"):
        phases = Phases()
        data = common.trained_data(chosen, name)
        with phases("loading"):
            detector = model or chosen.method.load(found, chosen.given)
        config = detector.config if isinstance(detector, Fitted) else chosen.open
        common.announce(
            detector.method,
            detector.transform,
            data=data,
            backbone=detector.backbone,
            where=detector.runs_on,
            trains=False,
        )
        with phases("evaluation"):
            made = results.of_category(detector, data, folder=folder, config=config)
        phases.report()
    return made
