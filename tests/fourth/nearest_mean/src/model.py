"""Nearest mean as one Cell from photographs to maps and scores, for export."""

from mindspore import Tensor, nn, ops

from anomaly.deploy.cells import EnlargeCell
from nearest_mean.src.detector import NearestMean


class Model(nn.Cell):
    def __init__(self, detector: NearestMean):
        super().__init__()
        self.backbone, self.mean = detector.backbone.net(detector.transform.size), Tensor(detector.mean)
        self.enlarge = EnlargeCell(detector.enlarge)
        self.pixels = detector.transform.size[0] * detector.transform.size[1]
        self.set_train(False)

    def construct(self, images):
        difference = self.backbone(images)[0] - self.mean
        maps = self.enlarge(ops.sqrt((difference * difference).sum(1)))
        return ops.relu(maps), maps.reshape(-1, self.pixels).max(1)


def model(detector: NearestMean) -> Model:
    return Model(detector)
