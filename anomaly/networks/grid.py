"""The way from one grid to another on the device."""

import numpy as np
from mindspore import Tensor, nn, ops


class Resample(nn.Cell):
    """B C h w -> B H W C by one matrix for each axis."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray) -> None:
        super().__init__()
        self.rows = Tensor(rows.astype(np.float32))  # H h
        self.columns = Tensor(columns.astype(np.float32))  # W w
        (self.out_h, self.h), (self.out_w, self.w) = rows.shape, columns.shape

    def construct(self, x):
        c = x.shape[1]
        x = ops.transpose(x, (0, 2, 3, 1)).reshape(-1, self.h, self.w * c)
        x = ops.matmul(self.rows, x).reshape(-1, self.w, c)
        return ops.matmul(self.columns, x).reshape(-1, self.out_h, self.out_w, c)
