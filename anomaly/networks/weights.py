"""Pretrained weights: from torchvision's or timm's files to a MindSpore checkpoint, and from there into a backbone.

Arrays go by torchvision's names on the way (layer1.0.bn1.running_mean), by MindSpore's in a checkpoint
(layer1.0.bn1.moving_mean).
"""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from anomaly.networks import checkpoint_file, registry, torch_file
from anomaly.networks.fetch import command
from anomaly.networks.registry import RANDOM, Backbone, Record
from anomaly.run.errors import DataError, first_line
from anomaly.run.files import replacing

# BatchNorm's tensors, torchvision's name: MindSpore's
BN_NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def read_safetensors(path: Path) -> dict:
    try:
        return {name: np.asarray(value, np.float32) for name, value in load_file(path).items()}
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a safetensors file ({first_line(error)})") from None


def read_ckpt(path: Path) -> dict:
    torch_names = {new: old for old, new in BN_NAMES.items()}
    arrays = {}
    for key, value in checkpoint_file.read(path).items():
        last = key.rpartition(".")[2]
        arrays[key.removesuffix(last) + torch_names.get(last, last)] = value
    return arrays


READERS = {".pth": torch_file.read, ".pt": torch_file.read, ".safetensors": read_safetensors, ".ckpt": read_ckpt}


def require(path: Path) -> None:
    if not path.is_file():
        address = registry.by_hand().get(path.stem)
        if address:
            raise DataError(
                f"{path}: no such file of weights; download {address}, of which no checksum is known, to {path} by hand"
            )
        name = path.stem if path.stem in registry.addresses() else "NAME"
        raise DataError(
            f"{path}: no such file of weights; --pre_ckpt_path names another, or get them: "
            f"{command(name)}; "
            f"--backbone {next(iter(registry.packaged_networks()))} needs no download"
        )


def read(path: Path) -> dict:
    path = Path(path)
    require(path)
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path}: weights come as {', '.join(READERS)}")
    arrays = READERS[path.suffix.lower()](path)
    if not all(key.isprintable() for key in arrays):
        raise DataError(f"{path}: the names of its tensors are no text")
    return {key[len("module.") :] if key.startswith("module.") else key: value for key, value in arrays.items()}


def named(arrays: dict, record: Record) -> dict:
    """By the names that the network's family knows them by."""
    renamed = getattr(record.module, "renamed", None)
    return renamed(arrays) if renamed else arrays


def identify(arrays: dict, path: Path) -> Record:
    """The network that most of these arrays, by their names and shapes, are the weights of."""

    def likeness(record: Record) -> tuple:
        """The part of what the network needs that is there, less what does not belong there; and what is there."""
        shapes, known = record.module.expected(record), named(arrays, record)
        alike = sum(key in known and tuple(known[key].shape) == tuple(shape) for key, shape in shapes.items())
        foreign = sum(key not in shapes and not re.match(record.module.NOT_NEEDED, key) for key in known)
        return (alike - foreign) / len(shapes), alike / len(shapes)

    likenesses = {record.name: likeness(record) for record in registry.RECORDS}
    best = max(registry.RECORDS, key=lambda record: likenesses[record.name])
    if likenesses[best.name][1] < 0.5:
        raise DataError(f"{path}: not the weights of {' or '.join(registry.names())}")
    return best


def _some(names: list) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def check(arrays: dict, record: Record, *, path: Path) -> dict:
    """The arrays that the network needs; anything missing, unexpected or of another shape is named."""
    shapes, arrays = record.module.expected(record), named(arrays, record)
    missing = [key for key in shapes if key not in arrays]
    unexpected = [key for key in arrays if key not in shapes and not re.match(record.module.NOT_NEEDED, key)]
    misshaped = [
        f"{key} {tuple(arrays[key].shape)}, not {tuple(shape)}"
        for key, shape in shapes.items()
        if key in arrays and tuple(arrays[key].shape) != tuple(shape)
    ]
    problems = [
        f"{what}: {_some(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
        if names
    ]
    if problems:
        raise DataError(f"{path}: does not fit {record.name}; {'; '.join(problems)}")
    wanted = {key: np.asarray(arrays[key], np.float32) for key in shapes}
    endless = [key for key, value in wanted.items() if not np.isfinite(value).all()]
    negative = [key for key, value in wanted.items() if key.endswith("running_var") and (value < 0).any()]
    for names, what in ((endless, "values that are no numbers"), (negative, "a negative variance")):
        if names:
            raise DataError(f"{path}: {what} in {_some(names)}")
    return wanted


def convert(source: Path, target: Path) -> str:
    """Writes a MindSpore checkpoint; returns the name of the backbone."""
    import mindspore

    arrays = read(source)
    record = identify(arrays, source)
    wanted = check(arrays, record, path=source)
    norms = {key.rpartition(".")[0] for key in wanted if key.endswith(".running_mean")}
    parameters = []
    for key, value in wanted.items():
        stem, _, last = key.rpartition(".")
        name = f"{stem}.{BN_NAMES[last]}" if stem in norms else key
        parameters.append({"name": name, "data": mindspore.Tensor(value)})
    save_checkpoint(parameters, target)
    return record.name


def save_checkpoint(parameters: Any, path: Path) -> None:
    """`parameters`: a Cell, or a list as MindSpore wants it."""
    import mindspore

    with replacing(path) as temporary:
        try:
            mindspore.save_checkpoint(parameters, str(temporary))
        finally:
            temporary.with_suffix(".tmp").unlink(missing_ok=True)  # it leaves its own where the disk is full
        temporary.chmod(0o644)  # and the file readable for its owner alone


def load_backbone(name: str, layers: tuple, *, source: str, seed: int) -> Backbone:
    record = registry.get(name)
    if source == RANDOM:
        values = record.module.random_weights(record, seed)
    else:
        arrays = read(Path(source))
        found = identify(arrays, Path(source))
        if found.name != record.base:
            raise DataError(f"{source}: holds the weights of {found.name}; this is --backbone {name}")
        values = record.module.folded(check(arrays, record, path=Path(source)), record)
        source = str(Path(source).resolve())
    digest = hashlib.sha256()
    for key in sorted(values):
        digest.update(values[key].tobytes())
    return Backbone(name, source, source == RANDOM, digest.hexdigest()[:16], layers, values)
