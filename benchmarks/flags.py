"""Options of the methods' commands that the benchmark passes on."""

import argparse
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Optional

from anomaly import methods
from anomaly.commands import common
from anomaly.networks.registry import RANDOM
from anomaly.networks.weights import require as require_weights
from anomaly.run.errors import DataError, UsageError
from anomaly.run.options import EVAL, TRAIN
from benchmarks.jobs import ONNX

# Options of the commands that the benchmark gives them itself.
OWN = {"dataset_path", "category", "class_name", "pre_ckpt_path", "output_dir", "save_path", "device_target"}
OWN |= {"device_id", "resume", "model_path", "ckpt_path"}


def split(text: str) -> list:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def require(method: str, flags: list, task: str, weights: str) -> Optional[Path]:
    """Refuses now what the method's own command would refuse for every category; returns the file of --config."""
    for word in flags:
        if word.startswith("--") and word.partition("=")[0][2:] in OWN:
            raise UsageError(f"{word}: is given by the benchmark itself (--help shows how to choose it)")
    known = methods.get(method)
    try:
        chosen = common.parse(known, EVAL if task == ONNX else TRAIN, text="", argv=flags, own=lambda group: None)
        if task != ONNX:
            source = known.weights_of(replace(chosen.resolved, pre_ckpt_path=weights))
            if source != RANDOM:
                require_weights(Path(source))
        return chosen.args.config
    except DataError as error:
        raise type(error)(f"{method}: {error}") from None


def absolute_config(flags: list) -> list:
    """The commands run in folders of their own."""
    made = []
    for before, word in zip(["", *flags], flags):
        name, equals, value = word.partition("=")
        if before == "--config":
            word = os.path.abspath(word)
        elif name == "--config" and equals:
            word = f"{name}={os.path.abspath(value)}"
        made.append(word)
    return made
