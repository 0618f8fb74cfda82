"""Cells that networks and methods have in common."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from anomaly.networks.registry import MARK
from anomaly.networks.resample import area


def with_values(net: nn.Cell, values: dict) -> nn.Cell:
    """The network with these values in its parameters, which are not to be trained."""
    for parameter in net.get_parameters():
        value = values[parameter.name]
        assert parameter.shape == value.shape, (parameter.name, parameter.shape, value.shape)
        parameter.set_data(Parameter(Tensor(value.astype(np.float32)), name=parameter.name))
        parameter.requires_grad = False
    return net


class Normalise(nn.Cell):
    """Pixels B H W 3 of 0..255, RGB -> B 3 H W with ImageNet's mean 0; the division is in the first weights."""

    def __init__(self, mean: tuple) -> None:
        super().__init__()
        self.mean = Tensor(255 * np.array(mean, np.float32).reshape(3, 1, 1))

    def construct(self, pixels):
        return ops.transpose(pixels.astype(mstype.float32), (0, 3, 1, 2)) - self.mean  # B 3 H W


class Shrunk(nn.Cell):
    """A network that sees pictures of (height, width) `size` in the size `seen`."""

    def __init__(self, net: nn.Cell, size: tuple, *, seen: tuple) -> None:
        super().__init__()
        self.net, self.layers = net, net.layers
        self.resample = Resample(*(area(few, many) for few, many in zip(seen, size)))
        self.set_train(False)

    def construct(self, images):
        x = self.resample(ops.transpose(images.astype(mstype.float32), (0, 3, 1, 2)))
        return self.net(ops.floor(x + 0.5))


class Erf(nn.Cell):
    """The error function; MindSpore's exporter does not know it, so an ONNX file gets it by engines/onnx_file.py."""

    def __init__(self) -> None:
        super().__init__()
        self.function = ops.Erf()

    def construct(self, x):
        return self.function(x)


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


class Boundary(nn.Cell):
    """Up to here a model may compute in a lower precision. It multiplies by one: the parameter's name is the mark."""

    def __init__(self) -> None:
        super().__init__()
        self.boundary = Parameter(Tensor(np.ones(1, np.float32)), name=MARK)

    def construct(self, x):
        return x * self.boundary


class Quantised(nn.Cell):
    """A network in whose place a graph in int8 goes into files (engines/int8.py); its layers end at marks."""

    def __init__(self, net: nn.Cell, graph: bytes) -> None:
        super().__init__()
        self.net, self.graph = net, graph
        self.marks = nn.CellList([Boundary() for _ in net.layers])  # their parameters: marks.0.boundary, ...
        self.set_train(False)

    def construct(self, images):
        found, outputs = self.net(images), ()
        for i in range(len(self.marks)):
            outputs += (self.marks[i](found[i]),)
        return outputs
