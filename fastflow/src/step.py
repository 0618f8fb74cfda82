"""One step of training: loss, gradients, and Adam with weight decay added to the gradients (torch.optim.Adam's).

Adam's epsilon stands beside √v and not beside √v̂, as in Kingma and Ba's remark on efficiency: a difference of the
size of epsilon.
"""

from typing import Optional, Union

import mindspore as ms
from mindspore import nn

from fastflow.src.loss import Loss

WEIGHT_DECAY = 1e-5


def adam(net: nn.Cell, learning_rate: Union[float, list], *, weight_decay: float = WEIGHT_DECAY) -> nn.Adam:
    """`learning_rate`: a number, which set_learning_rate may change, or a list with one number for each step."""
    return nn.Adam(net.trainable_params(), learning_rate, weight_decay=weight_decay)


def set_learning_rate(optimizer: nn.Optimizer, value: float) -> None:
    optimizer.learning_rate.set_data(ms.Tensor(value, ms.float32))


class TrainStep(nn.Cell):
    """Features, a tuple of B C H W, and weights B -> loss; the weights of images that only fill a batch up are 0.

    `reducer`: nn.DistributedGradReducer(optimizer.parameters) where several processes share a batch.
    """

    def __init__(self, flows: nn.Cell, optimizer: nn.Optimizer, *, reducer: Optional[nn.Cell] = None) -> None:
        super().__init__(auto_prefix=False)
        self.loss = Loss(flows)
        self.optimizer = optimizer
        self.reducer = reducer
        self.value_and_grad = ms.value_and_grad(self.loss, None, optimizer.parameters)

    @ms.jit
    def construct(self, features, weights):
        loss, gradients = self.value_and_grad(features, weights)
        if self.reducer is not None:
            gradients = self.reducer(gradients)
        self.optimizer(gradients)
        return loss
