"""Convolutions with a BatchNorm behind each.

In evaluation mode a BatchNorm is a scale and an offset a channel: they are taken into the convolution's own weights.
"""

from dataclasses import dataclass

import numpy as np

NORM = ("weight", "bias", "running_mean", "running_var")  # BatchNorm's arrays, as PyTorch names them


@dataclass(frozen=True)
class Convolution:
    shape: tuple  # of its weight
    norm: str = ""  # name of the BatchNorm behind it; without one there is no bias either
    spread: float = 1.0  # of random weights, relative to He's initialisation


def expected(convolutions: dict) -> dict:
    """Every array that the convolutions need -> its shape."""
    shapes = {}
    for name, each in convolutions.items():
        shapes[f"{name}.weight"] = each.shape
        if each.norm:
            shapes.update({f"{each.norm}.{key}": each.shape[:1] for key in NORM})
    return shapes


def scale_and_shift(arrays: dict, norm: str, *, epsilon: float) -> tuple:
    """What a BatchNorm multiplies by and adds, in double precision."""
    gamma, beta, mean, variance = (arrays[f"{norm}.{key}"].astype(np.float64) for key in NORM)
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def fold(arrays: dict, convolutions: dict, *, epsilon: float) -> dict:
    folded = {}
    for name, each in convolutions.items():
        weight = arrays[f"{name}.weight"]
        if each.norm:
            scale, shift = scale_and_shift(arrays, each.norm, epsilon=epsilon)
            weight = weight * scale.reshape(-1, 1, 1, 1)
            folded[f"{name}.bias"] = shift.astype(np.float32)
        folded[f"{name}.weight"] = weight.astype(np.float32)
    return folded


def random_weights(convolutions: dict, seed: int) -> dict:
    """He's initialisation."""
    rng = np.random.default_rng(seed)
    folded = {}
    for name, each in convolutions.items():
        std = np.sqrt(2 / np.prod(each.shape[1:])) * each.spread
        folded[f"{name}.weight"] = rng.normal(0, std, each.shape).astype(np.float32)
        if each.norm:
            folded[f"{name}.bias"] = np.zeros(each.shape[0], np.float32)
    return folded
