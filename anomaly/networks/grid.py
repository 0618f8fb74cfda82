"""The grids of a backbone's layers, and the way from one to another on the device."""

import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.networks.resample import halved

HALVINGS = {"layer1": 2, "layer2": 3, "layer3": 4}  # strides of two up to each layer


def grid_of(layer: str, size: tuple) -> tuple:
    """Rows and columns of a layer's output for a picture of (height, width)."""
    return tuple(halved(side, HALVINGS[layer]) for side in size)


class Resample(nn.Cell):
    """B C h w -> B H W C by one matrix for each axis."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray):
        super().__init__()
        self.rows = Tensor(rows.astype(np.float32))  # H h
        self.columns = Tensor(columns.astype(np.float32))  # W w
        (self.out_h, self.h), (self.out_w, self.w) = rows.shape, columns.shape

    def construct(self, x):
        c = x.shape[1]
        x = ops.transpose(x, (0, 2, 3, 1)).reshape(-1, self.h, self.w * c)
        x = ops.matmul(self.rows, x).reshape(-1, self.w, c)
        return ops.matmul(self.columns, x).reshape(-1, self.out_h, self.out_w, c)
