"""The ResNets, Wide ResNets and ResNeXts from the stem to layer 3 (arXiv 1512.03385, 1605.07146, 1611.05431), frozen.

BatchNorm is folded into the convolutions when weights are loaded (folding.py), so a convolution here has a bias and
nothing follows it but the ReLU. Pixels go in as they are, 0 to 255: the ImageNet normalisation is part of the network,
and so of every file that is exported from it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from anomaly.networks import folding
from anomaly.networks.folding import Convolution
from anomaly.networks.registry import Record

NOT_NEEDED = r"(fc\.|classifier\.|layer4\.|.*num_batches_tracked$)"  # of a file of weights
BN_EPSILON = 1e-5


def blocks(record: Record) -> Iterator[list]:
    """Of each layer its blocks, as (inputs, width, outputs, stride)."""
    inputs = 64
    for i, (depth, outputs) in enumerate(zip(record.depths, record.channels)):
        width = record.bottleneck << i if record.bottleneck else outputs
        yield [(inputs if j == 0 else outputs, width, outputs, 2 if i and j == 0 else 1) for j in range(depth)]
        inputs = outputs


def convolutions(record: Record) -> dict:
    """The convolutions by their names, as torchvision and timm have them."""
    found = {"conv1": Convolution((64, 3, 7, 7), norm="bn1")}
    kernels = (1, 3, 1) if record.bottleneck else (3, 3)
    for i, stage in enumerate(blocks(record), 1):
        for j, (inputs, width, outputs, stride) in enumerate(stage):
            channels = (inputs, *(width for _ in kernels[1:]), outputs)
            for k, kernel in enumerate(kernels, 1):
                groups = record.groups if record.bottleneck and k == 2 else 1
                shape = (channels[k], channels[k - 1] // groups, kernel, kernel)
                # with residual branches halved, the features of random weights keep their size
                spread = 0.5 if k == len(kernels) else 1.0
                found[f"layer{i}.{j}.conv{k}"] = Convolution(shape, f"layer{i}.{j}.bn{k}", spread=spread)
            if stride != 1 or inputs != outputs:
                name = f"layer{i}.{j}.downsample"
                found[f"{name}.0"] = Convolution((outputs, inputs, 1, 1), f"{name}.1")
    return found


def expected(record: Record) -> dict:
    return folding.expected(convolutions(record))


def folded(arrays: dict, record: Record) -> dict:
    return folding.fold(arrays, convolutions(record), epsilon=BN_EPSILON)


def random_weights(record: Record, seed: int) -> dict:
    return folding.random_weights(convolutions(record), seed)


def build(record: Record, layers: tuple, *, folded: dict, size: tuple) -> Any:
    """For pictures of any size; conv1 takes the division by the standard deviation."""
    from anomaly.networks.cells import with_values  # which load MindSpore
    from anomaly.networks.resnet_cells import ResNet

    scale = (255 * np.array(record.std, np.float32)).reshape(1, 3, 1, 1)
    return with_values(ResNet(record, layers), {**folded, "conv1.weight": folded["conv1.weight"] / scale})
