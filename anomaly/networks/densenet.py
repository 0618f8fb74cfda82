"""The DenseNets (arXiv 1608.06993) from the stem to their third block, frozen.

A layer looks at the outputs of all layers before it, each of which brings it to its own scale: this BatchNorm, before
the first convolution, stays as a scale and an offset a channel. The one between the two convolutions, and that of the
stem, are folded (folding.py). Arrays go by torchvision's names, the old ones of its file (norm.1) or the new (norm1).
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from anomaly.networks import folding
from anomaly.networks.folding import NORM, Convolution
from anomaly.networks.registry import Record

# of a file of weights
NOT_NEEDED = r"(classifier\.|features\.(denseblock4|transition3|norm5)\.|.*num_batches_tracked$)"
BN_EPSILON = 1e-5
STEM = 64  # channels
GROWTH = 32  # channels that a layer adds
WIDTH = 4 * GROWTH  # channels between its convolutions


def blocks(record: Record) -> Iterator[tuple]:
    """Of each block the channels that go into its layers, and those that come out of it."""
    inputs = STEM
    for depth in record.depths:
        outputs = inputs + depth * GROWTH
        yield range(inputs, outputs, GROWTH), outputs
        inputs = outputs // 2  # by a transition


def convolutions(record: Record) -> Iterator[tuple]:
    """Name in the network, name in a file of weights, and the convolution."""
    yield "conv0", "features.conv0", Convolution((STEM, 3, 7, 7), "features.norm0")
    for i, (layers, outputs) in enumerate(blocks(record), 1):
        for j, inputs in enumerate(layers):
            own, foreign = f"denseblock{i}.{j}", f"features.denseblock{i}.denselayer{j + 1}"
            yield f"{own}.conv1", f"{foreign}.conv1", Convolution((WIDTH, inputs, 1, 1), f"{foreign}.norm2")
            yield f"{own}.conv2", f"{foreign}.conv2", Convolution((GROWTH, WIDTH, 3, 3))
        if i < len(record.depths):
            foreign = f"features.transition{i}.conv"
            yield f"transition{i}.conv", foreign, Convolution((outputs // 2, outputs, 1, 1))


def scales(record: Record) -> Iterator[tuple]:
    """The BatchNorms that stay: name in the network, name in a file of weights, and channels."""
    for i, (layers, outputs) in enumerate(blocks(record), 1):
        for j, inputs in enumerate(layers):
            yield f"denseblock{i}.{j}.norm1", f"features.denseblock{i}.denselayer{j + 1}.norm1", inputs
        if i < len(record.depths):
            yield f"transition{i}.norm", f"features.transition{i}.norm", outputs


def expected(record: Record) -> dict:
    shapes = folding.expected({foreign: each for _, foreign, each in convolutions(record)})
    return shapes | {f"{foreign}.{key}": (width,) for _, foreign, width in scales(record) for key in NORM}


def renamed(arrays: dict) -> dict:
    old = r"(features\.denseblock\d+\.denselayer\d+\.(?:norm|conv))\.([12])\."
    return {re.sub(old, r"\1\2.", key): value for key, value in arrays.items()}


def folded(arrays: dict, record: Record) -> dict:
    found = {}
    for own, foreign, each in convolutions(record):
        for key, value in folding.fold(arrays, {foreign: each}, epsilon=BN_EPSILON).items():
            found[own + key.removeprefix(foreign)] = value
    for own, foreign, width in scales(record):
        for key, value in zip(("scale", "shift"), folding.scale_and_shift(arrays, foreign, epsilon=BN_EPSILON)):
            found[f"{own}.{key}"] = value.astype(np.float32).reshape(width, 1, 1)
    return found


def random_weights(record: Record, seed: int) -> dict:
    found = folding.random_weights({own: each for own, _, each in convolutions(record)}, seed)
    for own, _, width in scales(record):
        found[f"{own}.scale"] = np.ones((width, 1, 1), np.float32)
        found[f"{own}.shift"] = np.zeros((width, 1, 1), np.float32)
    return found


def build(record: Record, layers: tuple, *, folded: dict, size: tuple) -> Any:
    """For pictures of any size; the stem takes the division by the standard deviation."""
    from anomaly.networks.cells import with_values  # which load MindSpore
    from anomaly.networks.densenet_cells import DenseNet

    scale = (255 * np.array(record.std, np.float32)).reshape(1, 3, 1, 1)
    return with_values(DenseNet(record, layers), {**folded, "conv0.weight": folded["conv0.weight"] / scale})
