"""The flow of one scale (arXiv 2111.07677, section 3.3): steps of coupling, scale, offset and permutation.

A step is FrEIA's AllInOneBlock, as anomalib and the MindSpore zoo use it. With x = [x1, x2] along the channels,

    a = 0.1 · subnet(x1),   s = clamp · tanh(a's first half),   t = a's second half
    y = P · (scale ⊙ [x1, x2 ⊙ exp(s) + t] + offset)
    log|det J| = Σ s + H · W · Σ log scale

What costs time on a CPU besides the convolutions is memory and broadcasting, so x goes from step to step as its two
halves, scale and offset are a BatchNorm that normalises nothing (one pass, where a product and a sum that broadcast
take ten times as long), and tanh is summed over positions once a flow and not once a step.
"""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

SUBNET_GAIN = 0.1  # the subnet's output is scaled down, so that a flow starts close to a permutation
EPSILON = 1e-5  # that BatchNorm adds to the variance
SCALE_START = 2 * np.log(np.exp(5) - 1)  # where 0.2 · log(1 + exp(g / 2)) is 1


def _drawn(rng: np.random.Generator, inputs: int, outputs: int, kernel: int) -> tuple:
    """Weight and bias of a convolution as PyTorch draws them: kaiming uniform with a = √5, which is 1/√fan_in."""
    bound = 1 / np.sqrt(inputs * kernel * kernel)
    weight = rng.uniform(-bound, bound, (outputs, inputs, kernel, kernel)).astype(np.float32)
    return weight, rng.uniform(-bound, bound, outputs).astype(np.float32)


class Subnet(nn.Cell):
    """B C1 H W -> B 2·C2 H W, already times SUBNET_GAIN: convolution, ReLU, convolution."""

    def __init__(self, inputs: int, hidden: int, *, outputs: int, kernel: int, rng: np.random.Generator) -> None:
        super().__init__()
        weight1, bias1 = _drawn(rng, inputs, hidden, kernel)
        weight2, bias2 = _drawn(rng, hidden, outputs, kernel)
        self.weight1 = Parameter(Tensor(weight1), name="weight1")
        self.bias1 = Parameter(Tensor(bias1), name="bias1")
        self.weight2 = Parameter(Tensor(weight2), name="weight2")
        self.bias2 = Parameter(Tensor(bias2), name="bias2")
        self.conv1 = ops.Conv2D(hidden, (kernel, kernel), pad_mode="same")  # a pair, or ONNX export fails
        self.conv2 = ops.Conv2D(outputs, (kernel, kernel), pad_mode="same")
        self.bias_add = ops.BiasAdd()
        self.relu = ops.ReLU()

    def construct(self, x):
        x = self.relu(self.bias_add(self.conv1(x, self.weight1), self.bias1))
        return self.bias_add(self.conv2(x, self.weight2 * SUBNET_GAIN), self.bias2 * SUBNET_GAIN)


class Permute(nn.Cell):
    """B C H W -> the first and the second half of its channels in a new order. Backwards it is the inverse order."""

    def __init__(self, order: np.ndarray, first: int) -> None:
        super().__init__()
        self.to_first = Tensor(order[:first].astype(np.int32))
        self.to_second = Tensor(order[first:].astype(np.int32))
        self.back = Tensor(np.argsort(order).astype(np.int32))
        self.gather = ops.Gather()
        self.concat = ops.Concat(axis=1)

    def construct(self, x):
        return self.gather(x, self.to_first, 1), self.gather(x, self.to_second, 1)

    def bprop(self, x, out, dout):
        return (self.gather(self.concat((dout[0], dout[1])), self.back, 1),)


class Step(nn.Cell):
    """x1 and x2, B C1 H W and B C2 H W -> y1 and y2, tanh of the coupling (B C2 H W) and Σ log scale, a scalar."""

    def __init__(
        self, channels: int, hidden_ratio: float, *, kernel: int, clamp: float, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.second = channels // 2
        self.first = channels - self.second
        self.clamp = clamp
        hidden = max(1, int(self.first * hidden_ratio))
        self.subnet = Subnet(self.first, hidden, outputs=2 * self.second, kernel=kernel, rng=rng)
        self.order = rng.permutation(channels)  # y's channel i is the channel order[i] of what it permutes
        self.permute = Permute(self.order, self.first)
        self.scale = Parameter(Tensor(np.full(channels, SCALE_START, np.float32)), name="scale")
        self.offset = Parameter(Tensor(np.zeros(channels, np.float32)), name="offset")
        self.affine = ops.BatchNorm(is_training=False, epsilon=EPSILON)
        self.mean = Tensor(np.zeros(channels, np.float32))
        self.variance = Tensor(np.full(channels, 1 - EPSILON, np.float32))
        self.split = ops.Split(axis=1, output_num=2)
        self.concat = ops.Concat(axis=1)

    def construct(self, x1, x2):
        scale = positive(self.scale)
        coupled = self.subnet(x1).astype(mstype.float32)
        a, t = self.split(coupled)
        tanh = ops.tanh(a)
        x2 = x2 * ops.exp(tanh * self.clamp) + t
        x = self.affine(self.concat((x1, x2)), scale, self.offset, self.mean, self.variance)[0]
        y1, y2 = self.permute(x)
        return y1, y2, tanh, ops.log(scale).sum()


def positive(g):
    return 0.2 * ops.log(1 + ops.exp(0.5 * g))


class Flow(nn.Cell):
    """B C H W -> z of the same shape and log|det J| of each image, B."""

    def __init__(
        self,
        shape: tuple,
        flow_step: int,
        *,
        hidden_ratio: float,
        conv3x3_only: bool,
        clamp: float,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        if channels < 2:
            raise ValueError(f"a coupling needs two channels, not {channels}")
        self.area = height * width
        self.clamp = clamp
        self.second = channels // 2
        self.first = channels - self.second
        kernels = [3 if conv3x3_only or i % 2 == 0 else 1 for i in range(flow_step)]
        self.steps = nn.CellList(
            [Step(channels, hidden_ratio, kernel=kernel, clamp=clamp, rng=rng) for kernel in kernels]
        )
        self.concat = ops.Concat(axis=1)
        self.ones = Tensor(np.ones((self.second * self.area, 1), np.float32))

    def construct(self, x):
        total = 0
        volume = 0
        x1 = x[:, : self.first]
        x2 = x[:, self.first :]
        for step in self.steps:
            x1, x2, tanh, log_scale = step(x1, x2)
            total = total + tanh
            volume = volume + log_scale
        total = ops.matmul(total.reshape(-1, self.second * self.area), self.ones).reshape(-1)
        return self.concat((x1, x2)), total * self.clamp + volume * self.area

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """z -> x, for tests and for looking at what the flow holds likely."""
        x = Tensor(z.astype(np.float32))
        for step in list(self.steps)[::-1]:
            back = np.argsort(step.order)
            scale = positive(step.scale).asnumpy().reshape(-1, 1, 1)
            v = (x.asnumpy()[:, back] - step.offset.asnumpy().reshape(-1, 1, 1)) / scale
            a = step.subnet(Tensor(np.ascontiguousarray(v[:, : step.first]))).asnumpy()
            s = step.clamp * np.tanh(a[:, : step.second])
            v[:, step.first :] = (v[:, step.first :] - a[:, step.second :]) * np.exp(-s)
            x = Tensor(v)
        return x.asnumpy()
