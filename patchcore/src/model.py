"""Photographs -> patch features (arXiv 2106.08265, section 3.1).

Each layer is averaged over 3 x 3 neighbourhoods and layer 3 is brought to the grid of layer 2. Both are linear and
separable, so they are one matrix for each axis (anomaly/resample.py); multiplying by them with the channels last gives
the patches in the order in which the memory bank wants them.

Departures from the paper's code: none in what is computed but that its final adaptive pooling of channels is left out,
as in the MindSpore zoo's version, so D = C2 + C3.
"""

import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.resample import average3, bilinear, halved
from anomaly.resnet import CHANNELS, ResNet

DOWN = {"layer2": 3, "layer3": 4}  # strides of two up to each layer


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


class PatchEmbedding(nn.Cell):
    """B H W 3 uint8 -> B N D, with N = h · w positions of layer 2's grid."""

    def __init__(self, backbone: ResNet, name: str, size: tuple):
        super().__init__()
        self.backbone = backbone
        self.grid = tuple(halved(side, DOWN["layer2"]) for side in size)
        small = tuple(halved(side, DOWN["layer3"]) for side in size)
        self.dimensions = CHANNELS[name][1] + CHANNELS[name][2]
        self.fine = Resample(*(average3(side) for side in self.grid))
        self.coarse = Resample(*(bilinear(side, low) @ average3(low) for side, low in zip(self.grid, small)))
        self.concat = ops.Concat(axis=3)
        self.set_train(False)

    def construct(self, images):
        layer2, layer3 = self.backbone(images)
        patches = self.concat((self.fine(layer2), self.coarse(layer3)))  # B h w D
        return patches.reshape(patches.shape[0], -1, self.dimensions)  # B N D

    def numpy(self, images: np.ndarray) -> np.ndarray:
        return self(Tensor(images)).asnumpy()
