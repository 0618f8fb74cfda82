"""Features of three layers -> z and log|det J| of each (arXiv 2111.07677, section 3.2)."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from fastflow.src.coupling import Flow

EPSILON = 1e-5


class LayerNorm(nn.Cell):
    """Over [C, H, W], with a weight and a bias of that shape; in operations that every exporter knows."""

    def __init__(self, shape: tuple) -> None:
        super().__init__()
        self.shape, self.size = shape, int(np.prod(shape))
        self.weight = Parameter(Tensor(np.ones(shape, np.float32)), name="weight")
        self.bias = Parameter(Tensor(np.zeros(shape, np.float32)), name="bias")
        self.average = Tensor(np.full((self.size, 1), 1 / self.size, np.float32))

    def construct(self, x):
        flat = x.astype(mstype.float32).reshape(-1, self.size)  # B C·H·W
        flat = flat - ops.matmul(flat, self.average)
        variance = ops.matmul(flat * flat, self.average)
        flat = flat / ops.sqrt(variance + EPSILON)
        return flat.reshape(-1, *self.shape) * self.weight + self.bias


class Flows(nn.Cell):
    """Tuple of B C H W -> ((z of each), (log|det J| of each)), z of the same shapes, log|det J| of shape B."""

    def __init__(
        self,
        shapes: tuple,
        flow_step: int = 8,
        *,
        hidden_ratio: float = 1.0,
        conv3x3_only: bool = True,
        clamp: float = 2.0,
        seed: int = 1,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.norms = nn.CellList([LayerNorm(shape) for shape in shapes])
        self.flows = nn.CellList(
            [
                Flow(shape, flow_step, hidden_ratio=hidden_ratio, conv3x3_only=conv3x3_only, clamp=clamp, rng=rng)
                for shape in shapes
            ]
        )

    def construct(self, features):
        zs = ()
        jacobians = ()
        for i in range(len(self.flows)):
            z, jacobian = self.flows[i](self.norms[i](features[i]))
            zs += (z,)
            jacobians += (jacobian,)
        return zs, jacobians
