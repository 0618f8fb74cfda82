"""What the exported form of every method needs on the device."""

from mindspore import Tensor, nn, ops

from anomaly.resample import Enlarge


class EnlargeCell(nn.Cell):
    """Enlarge as a Cell: B h w -> B H W."""

    def __init__(self, enlarge: Enlarge):
        super().__init__()
        self.rows = Tensor(enlarge.rows)
        self.columns = Tensor(enlarge.columns)

    def construct(self, values):
        return ops.matmul(ops.matmul(self.rows, values), self.columns)
