"""The arithmetic of training on a CPU, by code of our own (native.cc) where there is a C++ compiler.

It is compiled once for this processor, in seconds, and kept, and nothing else has to be compiled before a training,
where MindSpore makes a graph of thousands of operations (graphs.py). It works on MindSpore's parameters, where they
lie. What it computes is held against numpy before it is used. Without a compiler, and on other devices, MindSpore
computes the same.
"""

import ctypes
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Optional

import numpy as np
from mindspore import nn

from anomaly.engines import compiled
from anomaly.run import device
from anomaly.run.processes import Ranks
from fastflow.src.coupling import Flow
from fastflow.src.flows import Flows, LayerNorm
from fastflow.src.native_check import require_right
from fastflow.src.native_scale import SOURCE, Learned, Scale, declared


@functools.lru_cache
def library() -> Optional[ctypes.CDLL]:
    otherwise = "MindSpore's own operators train the flow, which takes longer"
    return compiled.loaded(SOURCE, declared, check=require_right, otherwise=otherwise)


class Native:
    """As graphs.Graphs; `code` is what was compiled."""

    kept = 3.0

    def __init__(self, flows: Flows, code: ctypes.CDLL) -> None:
        self.code, self.parameters = code, flows.trainable_params()
        sizes = [parameter.size for parameter in self.parameters]
        self.flat = np.zeros(sum(sizes), np.float32)  # sums of gradients, of which each parameter has a part
        self.sums = np.split(self.flat, np.cumsum(sizes)[:-1])
        known = {parameter.name: part for parameter, part in zip(self.parameters, self.sums)}
        self.scales = []
        for own, flow in zip(map(numbers, flows.norms, flows.flows), flows.flows):
            sums, orders = [known[parameter.name] for parameter in own], [step.order for step in flow.steps]
            where = functools.partial(views, own)
            self.scales.append(Scale(code, where, sums=sums, orders=orders, clamp=flow.clamp))

    def likelihood(self, features: Sequence) -> np.ndarray:
        return np.mean([scale.likelihood(x) for scale, x in zip(self.scales, features)], axis=0)

    def train_step(self, optimizer: nn.Adam, ranks: Ranks) -> Callable[[Iterable], float]:
        def step(parts: Iterable) -> float:
            loss = sum(self.gradients(*part) for part in parts)
            if ranks.size > 1:
                self.flat[:] = ranks.all_reduce(self.flat) / ranks.size
            self.adam(optimizer)
            return loss

        return step

    def gradients(self, features: Sequence, weights: np.ndarray) -> float:
        """The loss of a part of a batch; its gradients are added to `sums`."""
        counted = np.count_nonzero(weights)  # the others, at the end, only fill a part up
        shares = weights[:counted] / np.float32(len(self.scales))
        return float(sum(scale.gradients(x[:counted], shares) @ shares for scale, x in zip(self.scales, features)))

    def adam(self, optimizer: nn.Adam) -> None:
        """The optimiser's step by `sums`, which are 0 afterwards, as its own graph takes it."""
        betas = [float(beta.asnumpy()) for beta in (optimizer.beta1, optimizer.beta2)]
        powers = views((optimizer.beta1_power, optimizer.beta2_power))
        for power, beta in zip(powers, betas):
            power *= np.float32(beta)
        rate = float(optimizer.learning_rate.asnumpy()) * np.sqrt(1 - powers[1]) / (1 - powers[0])
        groups = self.parameters, optimizer.moment1, optimizer.moment2
        every = [Learned.of(*arrays) for arrays in zip(*map(views, groups), self.sums)]
        table = (Learned * len(every))(*every)
        self.code.Adam(table, len(table), rate, *betas, float(optimizer.eps.asnumpy()), optimizer.weight_decay)


def numbers(norm: LayerNorm, flow: Flow) -> list:
    """The parameters of one scale, in the order in which native_scale.Scale has them."""
    found = [norm.weight, norm.bias]
    for step in flow.steps:
        subnet = step.subnet
        found += [step.scale, step.offset, subnet.weight1, subnet.bias1, subnet.weight2, subnet.bias2]
    return found


def views(parameters: Iterable) -> list:
    """The memory of parameters; what is written there is theirs."""
    return [parameter.asnumpy() for parameter in parameters]


def of(flows: Flows) -> Optional[Native]:
    code = library() if device.current() == "CPU" else None
    return Native(flows, code) if code else None
