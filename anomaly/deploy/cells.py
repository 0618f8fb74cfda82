"""What the exported form of every method needs on the device."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from anomaly.engines.choice import BFLOAT16
from anomaly.measure.calibration import Scale
from anomaly.networks.cells import Boundary
from anomaly.networks.resample import Enlarge


class EnlargeCell(nn.Cell):
    """Enlarge as a Cell: B h w -> B H W."""

    def __init__(self, enlarge: Enlarge) -> None:
        super().__init__()
        self.rows = Tensor(enlarge.rows)
        self.columns = Tensor(enlarge.columns)

    def construct(self, values):
        return ops.matmul(ops.matmul(self.rows, values), self.columns)


def up_to_here(precision: str) -> nn.Cell:
    """What is in bfloat16 ends where a method says; what is in int8 ends with the network, which says so itself."""
    return Boundary() if precision == BFLOAT16 else nn.Identity()


class Together(nn.Cell):
    """Models of one method, each with its levels (ensemble.py) -> the mean of their maps, and of their scores."""

    def __init__(self, models: list, levels: tuple) -> None:
        super().__init__(auto_prefix=False)
        self.models = nn.CellList(models)
        self.levels = tuple(
            tuple(Tensor(np.array([value], np.float32)) for each in pair for value in (each.middle, 1 / each.spread))
            for pair in levels
        )
        self.part = Tensor(np.array([1 / len(models)], np.float32))
        self.set_train(False)

    def construct(self, images):
        maps, scores = 0, 0
        for i in range(len(self.models)):
            score_middle, per_score, map_middle, per_map = self.levels[i]
            own_maps, own_scores = self.models[i](images)
            maps = maps + (own_maps - map_middle) * per_map
            scores = scores + (own_scores - score_middle) * per_score
        return maps * self.part, scores * self.part


class Judging(nn.Cell):
    """B H W 3 uint8 -> maps, B H W; scores, B; and scores on the scale on which the threshold is 0.5, B.

    The last is calibration.Scale.normalise; without a threshold it is not a number.
    """

    def __init__(self, model: nn.Cell, scale: Scale) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        # A parameter, which the compiler cannot take for 1: the exporter wants an operation of its own for an output
        # that is used inside.
        self.one = Parameter(Tensor(np.ones(1, np.float32)), name="one")
        self.threshold = Tensor(np.array([scale.threshold], np.float32))
        self.per_unit = Tensor(np.array([1 / scale.unit], np.float32))
        self.half = Tensor(np.array([0.5], np.float32))
        self.set_train(False)

    def construct(self, images):
        maps, scores = self.model(images)
        u = (scores - self.threshold) * self.per_unit
        return maps, scores * self.one, u / (ops.abs(u) + self.one) * self.half + self.half
