"""Random weights of a whole ResNet under torchvision's names, so that every system can read the same file.

python -m benchmarks.peers.weights resnet18 FILE.pth
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WIDTHS = (64, 128, 256, 512)
# name: blocks a layer, width of the 3 x 3 convolutions of a bottleneck over the layer's own; 0: two convolutions only
NETWORKS = {"resnet18": ((2, 2, 2, 2), 0), "wide_resnet50": ((3, 4, 6, 3), 2)}
RESIDUAL = 0.3  # scale of each block's last normalisation: the features neither vanish nor explode


def convolutions(network: str) -> Iterator[tuple]:
    """(convolution, its normalisation, shape), from the stem to layer 4."""
    depths, wide = NETWORKS[network]
    yield "conv1", "bn1", (64, 3, 7, 7)
    inputs = 64
    for layer, (depth, width) in enumerate(zip(depths, WIDTHS), start=1):
        outputs, middle = (4 * width, wide * width) if wide else (width, width)
        for block in range(depth):
            name = f"layer{layer}.{block}"
            shapes = [(middle, inputs, 1, 1), (middle, middle, 3, 3), (outputs, middle, 1, 1)]
            shapes = shapes if wide else [(width, inputs, 3, 3), (width, width, 3, 3)]
            for number, shape in enumerate(shapes, start=1):
                yield f"{name}.conv{number}", f"{name}.bn{number}", shape
            if block == 0 and (layer > 1 or inputs != outputs):
                yield f"{name}.downsample.0", f"{name}.downsample.1", (outputs, inputs, 1, 1)
            inputs = outputs


def drawn(network: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng, arrays = np.random.default_rng(seed), {}
    last = 3 if NETWORKS[network][1] else 2
    for convolution, norm, shape in convolutions(network):
        scale = np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
        arrays[f"{convolution}.weight"] = rng.normal(0, scale, shape).astype(np.float32)
        gain = RESIDUAL if norm.endswith(f".bn{last}") else 1.0
        for key, value in (("weight", gain), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            arrays[f"{norm}.{key}"] = np.full(shape[0], value, np.float32)
    features = shape[0] if not NETWORKS[network][1] else 4 * WIDTHS[-1]
    arrays["fc.weight"] = rng.normal(0, 0.01, (1000, features)).astype(np.float32)
    arrays["fc.bias"] = np.zeros(1000, np.float32)
    return arrays


def write(network: str, path: Path) -> None:
    import torch

    torch.save({key: torch.from_numpy(value) for key, value in drawn(network).items()}, path)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
