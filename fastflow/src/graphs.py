"""The arithmetic of training as graphs of MindSpore's, on every device: the likelihood, and a step of training.

A step is loss, gradients, and Adam with weight decay added to the gradients (torch.optim.Adam's).

Adam's epsilon stands beside √v and not beside √v̂, as in Kingma and Ba's remark on efficiency: a difference of the
size of epsilon.
"""

from collections.abc import Iterable, Sequence
from typing import Optional

import mindspore as ms
import numpy as np
from mindspore import Tensor, mutable, nn, ops

from anomaly.run.processes import Ranks
from fastflow.src.flows import Flows
from fastflow.src.loss import Loss, likelihood

WEIGHT_DECAY = 1e-5


def adam(net: nn.Cell, learning_rate: float, *, weight_decay: float = WEIGHT_DECAY) -> nn.Adam:
    return nn.Adam(net.trainable_params(), learning_rate, weight_decay=weight_decay)


def set_learning_rate(optimizer: nn.Optimizer, value: float) -> None:
    optimizer.learning_rate.set_data(ms.Tensor(value, ms.float32))


class Gradients(nn.Cell):
    """Features, a tuple of B C H W, and weights B -> loss; its gradients are added to `sums`."""

    def __init__(self, flows: nn.Cell, optimizer: nn.Optimizer, *, sums: ms.ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.loss = Loss(flows)
        self.sums = sums
        self.value_and_grad = ms.value_and_grad(self.loss, None, optimizer.parameters)

    @ms.jit
    def construct(self, features, weights):
        loss, gradients = self.value_and_grad(features, weights)
        for i in range(len(self.sums)):
            ops.assign_add(self.sums[i], gradients[i])
        return loss


class Update(nn.Cell):
    """The optimiser's step by `sums`, which are 0 afterwards; several processes take the mean of theirs."""

    def __init__(self, optimizer: nn.Optimizer, *, sums: ms.ParameterTuple, reducer: Optional[nn.Cell]) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.sums = sums
        self.reducer = reducer

    @ms.jit
    def construct(self):
        gradients = self.sums
        if self.reducer is not None:
            gradients = self.reducer(gradients)
        self.optimizer(gradients)
        for i in range(len(self.sums)):
            ops.assign(self.sums[i], ops.zeros_like(self.sums[i]))


class TrainStep:
    """Parts of a batch, each features and weights -> the loss of all of them.

    The memory for a step is that of one part. All parts have one shape; the weights of images that only fill one up
    are 0. `reducer`: nn.DistributedGradReducer(optimizer.parameters) where several processes share a batch.
    """

    def __init__(self, flows: nn.Cell, optimizer: nn.Optimizer, *, reducer: Optional[nn.Cell] = None) -> None:
        sums = optimizer.parameters.clone("sum", init="zeros")
        self.gradients = Gradients(flows, optimizer, sums=sums)
        self.update = Update(optimizer, sums=sums, reducer=reducer)

    def __call__(self, parts: Iterable[tuple]) -> float:
        loss = sum(float(self.gradients(tensors(features), Tensor(weights)).asnumpy()) for features, weights in parts)
        self.update()
        return loss


class HeldOut(nn.Cell):
    """Features -> the negative log-likelihood of each image, B."""

    def __init__(self, flows: Flows) -> None:
        super().__init__(auto_prefix=False)
        self.flows = flows

    def construct(self, features):
        zs, jacobians = self.flows(features)
        return likelihood(zs, jacobians)


class Graphs:
    """What training computes of features, arrays B C H W, one a scale."""

    kept = 8.0  # arrays of the size of the features, in each block, for its gradient, by what a process took

    def __init__(self, flows: Flows) -> None:
        self.flows, self.held_out = flows, HeldOut(flows)

    def likelihood(self, features: Sequence) -> np.ndarray:
        """-> the negative log-likelihood of each image, the mean over scales, B."""
        return self.held_out(tensors(features)).asnumpy()

    def train_step(self, optimizer: nn.Adam, ranks: Ranks) -> TrainStep:
        reducer = nn.DistributedGradReducer(optimizer.parameters) if ranks.size > 1 else None
        return TrainStep(self.flows, optimizer, reducer=reducer)


def tensors(features: Sequence) -> tuple:
    """Mutable: of a plain tuple the compiler would take the values for constants and compile anew at every step."""
    return mutable(tuple(Tensor(array) for array in features))
