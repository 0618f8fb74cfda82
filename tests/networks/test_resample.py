"""Resampling matrices against the operators that they stand for."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from anomaly.networks import registry
from anomaly.networks.resample import average3, bilinear, blur, enlarge

GRIDS = [((28, 28), (224, 224)), ((5, 7), (64, 50)), ((1, 3), (9, 9)), ((16, 16), (16, 16)), ((8, 9), (16, 17))]


def values(shape: tuple) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def interpolated(x: np.ndarray, size: tuple) -> np.ndarray:
    tensor = torch.from_numpy(x)[None, None]
    return functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()


@pytest.mark.parametrize("low,high", GRIDS)
def test_bilinear_is_torchs_interpolation(low, high):
    x = values(low)
    found = bilinear(high[0], low[0]) @ x @ bilinear(high[1], low[1]).T
    assert np.allclose(found, interpolated(x, high), atol=1e-12)


@pytest.mark.parametrize("sigma", [0.5, 4.0])
@pytest.mark.parametrize("shape", [(64, 40), (224, 224), (33, 7)])
def test_blur_is_scipys_gaussian_filter(shape, sigma):
    x = values(shape)
    assert np.allclose(blur(shape[0], sigma) @ x @ blur(shape[1], sigma).T, gaussian_filter(x, sigma), atol=1e-12)


def test_no_sigma_is_no_blur():
    assert np.array_equal(blur(5, 0), np.eye(5))


@pytest.mark.parametrize("low,high", GRIDS)
def test_enlarge_is_interpolation_then_blur(low, high):
    x = values(low)
    found = enlarge(high[0], low[0]) @ x @ enlarge(high[1], low[1]).T
    assert enlarge(high[0], low[0]).dtype == np.float32
    assert np.allclose(found, gaussian_filter(interpolated(x, high), 4.0), atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (1, 4)])
def test_average3_is_torchs_average_pool(shape):
    x = values(shape)
    wanted = functional.avg_pool2d(torch.from_numpy(x)[None, None], 3, 1, 1)[0, 0].numpy()
    assert np.allclose(average3(shape[0]) @ x @ average3(shape[1]).T, wanted, atol=1e-12)


@pytest.mark.parametrize("size", [32, 33, 63, 64, 65, 224, 225])
def test_a_grid_is_what_strides_of_two_leave(size):
    record = registry.get("resnet18")
    for layer, times in (("layer1", 2), ("layer2", 3), ("layer3", 4)):
        x = torch.zeros(1, 1, size, 1)
        for _ in range(times):
            x = functional.conv2d(x, torch.zeros(1, 1, 3, 1), stride=(2, 1), padding=(1, 0))
        assert record.grid(layer, (size, 32))[0] == x.shape[2]
