"""Whether what was compiled of native.cc computes what it is meant to: a compiler may be wrong, and a file damaged."""

import ctypes

import numpy as np

from anomaly.run.errors import DataError
from fastflow.src.native_scale import Learned, Scale

SHAPE, HIDDEN, KERNELS, CLAMP = (2, 5, 4, 18), 3, (3, 1), 1.9  # whole vectors, and parts of them
EPSILON = 1e-5
STEP = 1e-4  # along a direction
CLOSE = 1e-3


def require_right(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    numbers, orders, x = drawn(rng)
    sums = [np.zeros(each.size, np.float32) for each in numbers]
    scale = Scale(library, lambda: numbers, sums=sums, orders=orders, clamp=CLAMP)
    weights = np.array([1, 0.5], np.float32)
    likelihood = scale.gradients(x, weights)
    require_close(likelihood, naive(x, numbers, orders=orders))
    direction = [rng.normal(size=each.shape) for each in numbers]
    there, back = (
        naive(x, [each + sign * STEP * way for each, way in zip(numbers, direction)], orders=orders) for sign in (1, -1)
    )
    slope = sum(np.sum(total * way.reshape(-1)) for total, way in zip(sums, direction))
    require_close(slope, weights @ (there - back) / (2 * STEP))
    value, first, second, gradient = rng.uniform(1, 2, (4, 20)).astype(np.float32)
    slow, fast = 0.9 * first + 0.1 * (gradient + 0.5 * value), 0.8 * second + 0.2 * (gradient + 0.5 * value) ** 2
    wanted = value - 0.1 * slow / (np.sqrt(fast) + 0.3), slow, fast, 0 * gradient
    library.Adam(Learned.of(value, first, second, gradient), 1, 0.1, 0.9, 0.8, 0.3, 0.5)
    require_close(np.stack([value, first, second, gradient]), np.stack(wanted))


def require_close(found: np.ndarray, wanted: np.ndarray) -> None:
    if not np.abs(found - wanted).max() <= CLOSE * np.abs(wanted).max():
        raise DataError("what was compiled computes something else")


def drawn(rng: np.random.Generator) -> tuple:
    """Numbers as Scale has them, orders of channels, and features."""
    _, channels, *area = SHAPE
    second, numbers = channels // 2, [rng.normal(size=(channels, *area)) for _ in range(2)]
    for kernel in KERNELS:
        shapes = (HIDDEN, channels - second, kernel, kernel), HIDDEN, (2 * second, HIDDEN, kernel, kernel), 2 * second
        numbers += [rng.normal(size=shape) for shape in (channels, channels, *shapes)]
    orders = [rng.permutation(channels) for _ in KERNELS]
    return [each.astype(np.float32) for each in numbers], orders, rng.normal(size=SHAPE).astype(np.float32)


def naive(x: np.ndarray, numbers: list, *, orders: list) -> np.ndarray:
    """The negative log-likelihood of each image in double precision, as coupling.py and flows.py have it."""
    x, (weight, bias, *rest) = x.astype(np.float64), numbers
    axes, second = (1, 2, 3), x.shape[1] // 2
    x = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPSILON) * weight + bias
    volume = np.zeros(len(x))
    for order in orders:
        (g, offset, weight1, bias1, weight2, bias2), rest = rest[:6], rest[6:]
        scale = 0.2 * np.log(1 + np.exp(0.5 * g.astype(np.float64)))
        x1, x2 = x[:, :-second], x[:, -second:]
        inside = np.maximum(convolved(x1, weight1) + bias1[:, None, None], 0)
        a = 0.1 * (convolved(inside, weight2) + bias2[:, None, None])
        s = CLAMP * np.tanh(a[:, :second])
        x = np.concatenate([x1, x2 * np.exp(s) + a[:, second:]], axis=1)
        x = (x * scale[:, None, None] + offset[:, None, None])[:, order]
        volume += s.sum(axes) + x[0, 0].size * np.log(scale).sum()
    return 0.5 * np.sum(x**2, axis=axes) - volume


def convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    size, (height, width) = weight.shape[-1], x.shape[2:]
    wide = np.pad(x, ((0, 0), (0, 0), (size // 2, size // 2), (size // 2, size // 2)))
    places = [(i, j, wide[:, :, i : i + height, j : j + width]) for i in range(size) for j in range(size)]
    return sum(np.einsum("oc,bchw->bohw", weight[:, :, i, j], part) for i, j, part in places)
