"""Maps against PyTorch's interpolation and SciPy's blur."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from patchcore.src.anomaly_map import AnomalyMap


@pytest.mark.parametrize("grid,size", [((28, 28), (224, 224)), ((8, 12), (64, 96)), ((10, 13), (75, 101))])
def test_a_map_is_interpolated_and_then_blurred(grid, size):
    distances = np.random.default_rng(0).gamma(2, 1, (3, grid[0] * grid[1])).astype(np.float32)
    found = AnomalyMap(grid, size)(distances)
    x = torch.from_numpy(distances).reshape(3, 1, *grid).double()
    large = torch.nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)[:, 0].numpy()
    wanted = np.stack([gaussian_filter(image, 4.0) for image in large])
    assert found.shape == (3, *size)
    assert found.dtype == np.float32
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_constant_stays_constant():
    found = AnomalyMap((8, 8), (64, 64))(np.full((1, 64), 2.5, np.float32))
    assert np.allclose(found, 2.5, atol=1e-5)


def test_the_warmest_place_is_where_the_patch_is():
    distances = np.zeros((1, 8 * 12), np.float32)
    distances[0, 2 * 12 + 9] = 1
    row, column = np.unravel_index(AnomalyMap((8, 12), (64, 96))(distances)[0].argmax(), (64, 96))
    assert abs(row - 19.5) <= 1
    assert abs(column - 75.5) <= 1
