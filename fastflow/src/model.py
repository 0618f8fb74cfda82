"""FastFlow as one Cell from photographs to maps and scores, for export."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from anomaly.deploy.cells import EnlargeCell, up_to_here
from fastflow.src.detector import FastFlow


class Model(nn.Cell):
    """B H W 3 uint8 -> maps, B H W, and scores, B."""

    def __init__(self, detector: FastFlow) -> None:
        super().__init__()
        self.backbone = detector.backbone.net(detector.transform.size)
        self.squares = detector.squares.cell
        self.up_to_here = nn.CellList([up_to_here(detector.config.precision) for _ in detector.anomaly_map.scales])
        self.enlarges = nn.CellList([EnlargeCell(scale) for scale in detector.anomaly_map.scales])
        # A parameter: of a division by a number the exporter makes two operations and names the wrong one as the
        # output, and the compiler leaves out a product with a tensor that is 1, as it is with one layer.
        self.share = Parameter(Tensor(np.array([1 / len(self.enlarges)], np.float32)), name="share")
        self.pixels = self.enlarges[0].rows.shape[0] * self.enlarges[0].columns.shape[1]
        self.set_train(False)

    def construct(self, images):
        squares = self.squares(*self.backbone(images))
        total = 0
        for i in range(len(self.enlarges)):
            total = total + self.enlarges[i](-ops.exp(-0.5 * self.up_to_here[i](squares[i])))
        return total * self.share, total.reshape(-1, self.pixels).max(1) * self.share


def model(detector: FastFlow) -> Model:
    return Model(detector)
