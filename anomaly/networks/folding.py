"""Convolutions with a BatchNorm behind each.

In evaluation mode a BatchNorm is a scale and an offset a channel: they are taken into the convolution's own weights.
"""

from dataclasses import dataclass

import numpy as np

NORM = ("weight", "bias", "running_mean", "running_var")  # BatchNorm's arrays, as PyTorch names them


@dataclass(frozen=True)
class Convolution:
    shape: tuple  # of its weight
    norm: str  # name of the BatchNorm behind it
    spread: float = 1.0  # of random weights, relative to He's initialisation


def expected(convolutions: dict) -> dict:
    """Every array that the convolutions need -> its shape."""
    shapes = {}
    for name, each in convolutions.items():
        shapes[f"{name}.weight"] = each.shape
        shapes.update({f"{each.norm}.{key}": each.shape[:1] for key in NORM})
    return shapes


def fold(arrays: dict, convolutions: dict, *, epsilon: float) -> dict:
    folded = {}
    for name, each in convolutions.items():
        gamma, beta, mean, variance = (arrays[f"{each.norm}.{key}"].astype(np.float64) for key in NORM)
        scale = gamma / np.sqrt(variance + epsilon)
        weight = arrays[f"{name}.weight"] * scale.reshape(-1, 1, 1, 1)
        folded[f"{name}.weight"] = weight.astype(np.float32)
        folded[f"{name}.bias"] = (beta - mean * scale).astype(np.float32)
    return folded


def random_weights(convolutions: dict, seed: int) -> dict:
    """He's initialisation."""
    rng = np.random.default_rng(seed)
    folded = {}
    for name, each in convolutions.items():
        std = np.sqrt(2 / np.prod(each.shape[1:])) * each.spread
        folded[f"{name}.weight"] = rng.normal(0, std, each.shape).astype(np.float32)
        folded[f"{name}.bias"] = np.zeros(each.shape[0], np.float32)
    return folded
