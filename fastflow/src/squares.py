"""The flow as it judges, a Cell for an engine to run."""

import numpy as np
from mindspore import nn

from anomaly.run import device
from anomaly.run.errors import DataError
from fastflow.src.backbone import shapes
from fastflow.src.config import Config
from fastflow.src.flows import Flows
from fastflow.src.snapshot import restore


class Squares(nn.Cell):
    """Features, B C h w for each scale -> the mean of z^2 over the channels, B h w a scale."""

    def __init__(self, flows: Flows) -> None:
        super().__init__(auto_prefix=False)  # the parameters keep the names that they have in the checkpoint
        self.flows = flows
        self.set_train(False)

    def construct(self, *features):
        zs, _ = self.flows(features)
        squares = ()
        for z in zs:
            squares += ((z * z).mean(1),)
        return squares


def flows_of(config: Config) -> Flows:
    device.ready()
    return Flows(
        shapes(config),
        flow_step=config.flow_step,
        hidden_ratio=config.hidden_ratio,
        conv3x3_only=config.conv3x3_only,
        seed=config.seed,
    )


def numbers(flows: Flows) -> dict:
    """By their places: a parameter's own name has changed where the flow became a part of a model for export."""
    return {name: np.ascontiguousarray(value.asnumpy()) for name, value in flows.parameters_and_names()}


def restored(config: Config, known: dict, *, otherwise: str) -> Squares:
    """`known`: name -> array; `otherwise`: what is wrong if these are those of another flow."""
    flows = flows_of(config)
    expected = {parameter.name: tuple(parameter.shape) for parameter in flows.get_parameters()}
    if {name: array.shape for name, array in known.items()} != expected:
        raise DataError(otherwise)
    restore(flows, known)
    return Squares(flows)
