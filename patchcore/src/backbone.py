"""Photographs -> patch features (arXiv 2106.08265, section 3.1).

Each layer is averaged over 3 x 3 neighbourhoods and layer 3 is brought to the grid of layer 2. Both are linear and
separable, so they are one matrix for each axis (anomaly/networks/resample.py); multiplying by them with the channels
last gives the patches in the order in which the memory bank wants them.

Departures from the paper's code: none in what is computed but that its final adaptive pooling of channels is left out,
as in the MindSpore zoo's version, so D = C2 + C3.
"""

import functools

from mindspore import nn, ops

from anomaly.engines.choice import Runtime
from anomaly.engines.frozen import Frozen, photographs
from anomaly.networks import registry
from anomaly.networks.grid import Resample
from anomaly.networks.registry import Backbone
from anomaly.networks.resample import average3, bilinear
from patchcore.src.config import LAYERS, Config


class PatchEmbedding(nn.Cell):
    """B H W 3 uint8 -> B N D, with N = h · w positions of layer 2's grid."""

    def __init__(self, backbone: Backbone, size: tuple) -> None:
        super().__init__()
        record = registry.get(backbone.name)
        self.backbone = backbone.net
        self.grid, small = (record.grid(layer, size) for layer in LAYERS)
        self.dimensions = sum(record.channels_of(layer) for layer in LAYERS)
        self.fine = Resample(*(average3(side) for side in self.grid))
        self.coarse = Resample(*(bilinear(side, low) @ average3(low) for side, low in zip(self.grid, small)))
        self.concat = ops.Concat(axis=3)
        self.set_train(False)

    def construct(self, images):
        layer2, layer3 = self.backbone(images)
        patches = self.concat((self.fine(layer2), self.coarse(layer3)))  # B h w D
        return patches.reshape(-1, self.grid[0] * self.grid[1], self.dimensions)  # B N D


def embedding(backbone: Backbone, config: Config) -> Frozen:
    """The same for every category, since each new one costs a compilation."""
    return _embedding(backbone, config.transform.size, runtime=config.runtime)


@functools.lru_cache(maxsize=1)
def _embedding(backbone: Backbone, size: tuple, *, runtime: Runtime) -> Frozen:
    return Frozen(PatchEmbedding(backbone, size), photographs(size), outputs=("patches",), runtime=runtime)
