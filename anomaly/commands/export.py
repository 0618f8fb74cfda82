"""Writes a trained {title} as one MINDIR or ONNX file: photographs in, anomaly maps and scores out.

python {method}/export.py --category bottle --file_format ONNX
"""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from anomaly.commands import common
from anomaly.commands.common import Chosen
from anomaly.deploy import state
from anomaly.deploy.description import DYNAMIC, SUFFIXES
from anomaly.engines.choice import INT8
from anomaly.methods import Method
from anomaly.run import device
from anomaly.run.errors import UsageError
from anomaly.run.options import EXPORT, positive


def flags(group: argparse._ArgumentGroup) -> None:
    common.add_checkpoint(group, EXPORT)
    group.add_argument(
        "--file_format", type=str.upper, choices=tuple(SUFFIXES), default="MINDIR", help="default: MINDIR"
    )
    group.add_argument("--part", choices=("all", "backbone"), default="all", help="backbone: the features alone")
    group.add_argument("--batch_size", dest="batch", default="1", help="images at once, or dynamic; default: 1")
    group.add_argument("--file_name", type=Path, help="file to write; default: below the category's state")


def run(method: Method, argv: Optional[Sequence[str]] = None) -> None:
    chosen = common.parse(method, EXPORT, text=str(__doc__), argv=argv, own=flags)
    args = chosen.args
    batch, suffix = batch_size(args.batch), SUFFIXES[args.file_format]
    if args.file_name and args.file_name.suffix != suffix:
        raise UsageError(f"--file_name {args.file_name}: the name of an {args.file_format} file ends in {suffix}")
    device.end_in_order()
    target = (backbone if args.part == "backbone" else whole)(chosen, batch, suffix=suffix)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")


def batch_size(text: str) -> Optional[int]:
    """None stands for any number of images."""
    try:
        return None if text == DYNAMIC else positive(text)
    except ValueError:
        raise UsageError(f"--batch_size: {text!r} is not allowed (1 or more, or {DYNAMIC})") from None


def exporter() -> Any:
    return importlib.import_module("anomaly.deploy.export")  # which loads MindSpore


def backbone(chosen: Chosen, batch: Optional[int], *, suffix: str) -> Path:
    args, config, method = chosen.args, chosen.resolved, chosen.method
    if config.precision == INT8:
        raise UsageError(f"--part backbone: without photographs there is no {INT8}; leave --precision out")
    target = args.file_name or chosen.output / f"{config.backbone}{suffix}"
    if config.members:
        raise UsageError(f"--part backbone: exports one network; {config.backbone} are several")
    loaded = method.backbone(config)
    return exporter().export_backbone(
        loaded, config.transform, target=target, file_format=args.file_format, batch=batch
    )


def whole(chosen: Chosen, batch: Optional[int], *, suffix: str) -> Path:
    args, method = chosen.args, chosen.method
    name = chosen.one_category(", or --ckpt_file with the trained checkpoint")
    detector = method.load(state.read(chosen.output / name), chosen.given)
    target = args.file_name or chosen.output / name / f"{method.name}_{name}{suffix}"
    return exporter().export(
        detector,
        method.model,
        target=target,
        file_format=args.file_format,
        category=name,
        batch=batch,
        compact=method.compact,
    )
