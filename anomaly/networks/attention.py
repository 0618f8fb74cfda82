"""The cells that vision transformers are made of, in operations that every exporter knows."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer

from anomaly.networks.cells import Erf
from anomaly.networks.vit import WIDENING

EPSILON = 1e-6


def zeros(*shape: int) -> Tensor:
    return initializer("zeros", shape)  # which takes no memory until it is looked at


def _number(value: float) -> Tensor:
    """Of a number of Python's own the exporter makes two operations."""
    return Tensor(np.array(value, np.float32))


class Linear(nn.Cell):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = Parameter(zeros(inputs, outputs), name="weight")
        self.bias = Parameter(zeros(outputs), name="bias")

    def construct(self, x):
        return ops.matmul(x, self.weight) + self.bias


class LayerNorm(nn.Cell):
    """Over the channels, which come last."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = Parameter(zeros(channels), name="weight")
        self.bias = Parameter(zeros(channels), name="bias")
        self.two, self.epsilon = _number(2), _number(EPSILON)

    def construct(self, x):
        x = x - x.mean(-1, keep_dims=True)
        variance = ops.pow(x, self.two).mean(-1, keep_dims=True)
        return x / ops.sqrt(variance + self.epsilon) * self.weight + self.bias


class Attention(nn.Cell):
    """B N C -> B N C, N tokens."""

    def __init__(self, channels: int, heads: int, *, tokens: int) -> None:
        super().__init__()
        self.query = Linear(channels, channels)
        self.key = Linear(channels, channels)
        self.value = Linear(channels, channels)
        self.out = Linear(channels, channels)
        self.split = (-1, tokens, heads, channels // heads)
        self.whole = (-1, tokens, channels)

    def construct(self, x):
        query = ops.transpose(self.query(x).reshape(self.split), (0, 2, 1, 3))  # B heads N c
        key = ops.transpose(self.key(x).reshape(self.split), (0, 2, 3, 1))  # B heads c N
        value = ops.transpose(self.value(x).reshape(self.split), (0, 2, 1, 3))
        found = ops.matmul(self.shares(ops.matmul(query, key)), value)
        return self.out(ops.transpose(found, (0, 2, 1, 3)).reshape(self.whole))

    def shares(self, scores):
        return ops.softmax(scores, -1)


class TalkingHeads(Attention):
    def __init__(self, channels: int, heads: int, *, tokens: int) -> None:
        super().__init__(channels, heads, tokens=tokens)
        # A number for each head, which the first mixing could add, leaves the softmax as it is.
        self.mix_before = nn.Conv2d(heads, heads, 1)
        self.mix_after = nn.Conv2d(heads, heads, 1, has_bias=True)

    def shares(self, scores):
        return self.mix_after(ops.softmax(self.mix_before(scores), -1))


class Gelu(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.erf = Erf()
        self.root, self.one, self.half = _number(np.sqrt(2)), _number(1), _number(0.5)

    def construct(self, x):
        return x * (self.erf(x / self.root) + self.one) * self.half


class Block(nn.Cell):
    def __init__(self, channels: int, attention: nn.Cell) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attention = attention
        self.norm2 = LayerNorm(channels)
        self.up = Linear(channels, WIDENING * channels)
        self.gelu = Gelu()
        self.down = Linear(WIDENING * channels, channels)

    def construct(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.gelu(self.up(self.norm2(x))))
