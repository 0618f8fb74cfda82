"""Negative log-likelihood (arXiv 2111.07677, Eq. 2), without the constant 0.5 · log(2π) for each dimension.

For each image and scale it is 0.5 · Σ z² − log|det J|. The loss is its mean over scales, as in the MindSpore zoo;
anomalib and the PyTorch ports sum over scales, which Adam's steps do not tell apart but for its epsilon and the weight
decay.
"""

from typing import Any

from mindspore import dtype as mstype
from mindspore import nn, ops


def likelihood(zs: tuple, jacobians: tuple) -> Any:
    """-> the negative log-likelihood of each image, the mean over scales, B. Lower is more like the training set."""
    total = 0
    for i in range(len(zs)):
        z = zs[i].astype(mstype.float32)
        flat = z.reshape(z.shape[0], 1, -1)
        squares = ops.bmm(flat, flat.transpose((0, 2, 1))).reshape(-1)  # Σ z², B
        total = total + 0.5 * squares - jacobians[i]
    return total / len(zs)


class Loss(nn.Cell):
    """Features and weights B -> the weighted sum of the negative log-likelihoods.

    With weights of 1 / B that is their mean. An image that only fills a batch up has the weight 0; a process that has
    nothing else in its part of a batch then adds nothing.
    """

    def __init__(self, flows: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.flows = flows

    def construct(self, features, weights):
        zs, jacobians = self.flows(features)
        return (likelihood(zs, jacobians) * weights).sum()
