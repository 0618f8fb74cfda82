"""The grids of a backbone's layers, and the way from one to another on the device."""

import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.resample import halved

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
        self.out_h, self.out_w = rows.shape[0], columns.shape[0]

    def construct(self, x):
        b, c, h, w = x.shape
        x = ops.transpose(x, (0, 2, 3, 1)).reshape(b, h, w * c)
        x = ops.matmul(self.rows, x).reshape(b * self.out_h, w, c)
        return ops.matmul(self.columns, x).reshape(b, self.out_h, self.out_w, c)
