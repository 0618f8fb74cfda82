"""FastFlow as a whole: photographs in, anomaly maps and image scores out."""

from dataclasses import dataclass
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, mutable, nn

from anomaly.deploy import state
from anomaly.measure.calibration import Calibration
from anomaly.networks.grid import grid_of
from anomaly.networks.resnet import CHANNELS
from anomaly.networks.weights import Backbone, save_checkpoint
from anomaly.run.errors import DataError
from fastflow.src.anomaly_map import AnomalyMap, image_scores
from fastflow.src.backbone import LAYERS
from fastflow.src.config import TEST_PIXEL_AUC, Config
from fastflow.src.model import Flows

METHOD = "fastflow"
NONE = Calibration(np.zeros(0), np.zeros(0))  # before there is one
ON_TEST_DATA = "the epoch was chosen on the TEST images (--select test_pixel_auc, the zoo's way): this flatters"


def shapes(config: Config) -> tuple:
    """C, H, W of the features of each layer."""
    return tuple(
        (channels, *grid_of(layer, config.transform.size)) for layer, channels in zip(LAYERS, CHANNELS[config.backbone])
    )


def build_flows(config: Config) -> Flows:
    return Flows(
        shapes(config),
        flow_step=config.flow_step,
        hidden_ratio=config.hidden_ratio,
        conv3x3_only=config.conv3x3_only,
        seed=config.seed,
    )


def checkpoint(category: str) -> str:
    return f"fastflow_{category}.ckpt"


class Squares(nn.Cell):
    """Features, B C h w a scale -> the mean of z^2 over the channels, B h w a scale."""

    def __init__(self, flows: Flows):
        super().__init__(auto_prefix=False)  # the parameters keep the names that they have in the checkpoint
        self.flows = flows
        self.set_train(False)

    def construct(self, features):
        zs, _ = self.flows(features)
        squares = ()
        for z in zs:
            squares += ((z * z).mean(1),)
        return squares


@dataclass(frozen=True)
class FastFlow:
    weights: Backbone
    squares: Squares
    anomaly_map: AnomalyMap
    calibration: Calibration
    remark: str = ""
    method: str = METHOD

    @staticmethod
    def of(config: Config, weights: Backbone, flows: Flows, calibration: Calibration = NONE) -> "FastFlow":
        grids = tuple(grid_of(layer, config.transform.size) for layer in LAYERS)
        remark = ON_TEST_DATA if config.select == TEST_PIXEL_AUC else ""
        return FastFlow(weights, Squares(flows), AnomalyMap(grids, config.transform.size), calibration, remark)

    def score(self, images: np.ndarray) -> tuple:
        return self.score_features(mutable(self.weights.net(Tensor(images))))

    def score_features(self, features: tuple) -> tuple:
        maps = self.anomaly_map([square.asnumpy() for square in self.squares(features)])
        return maps, image_scores(maps)

    def save(self, folder: Path, config: Config):
        name = checkpoint(folder.name)
        state.begin(folder)
        save_checkpoint(self.squares.flows, folder / name)
        state.save(
            folder,
            method=METHOD,
            backbone=self.weights,
            calibration=self.calibration,
            files=(name,),
            config=config,
        )

    @staticmethod
    def load(folder: Path, config: Config, weights: Backbone) -> "FastFlow":
        calibration = state.load(folder, method=METHOD, backbone=weights)
        flows = build_flows(config)
        path = folder / checkpoint(folder.name)
        try:
            parameters = mindspore.load_checkpoint(str(path))
        except (ValueError, RuntimeError, OSError, TypeError):
            raise DataError(f"{path}: missing or damaged; train again") from None
        expected = {parameter.name: parameter.shape for parameter in flows.get_parameters()}
        if {name: value.shape for name, value in parameters.items()} != expected:
            raise DataError(f"{path}: is not the flow that {folder / state.CONFIG} describes; train again")
        mindspore.load_param_into_net(flows, parameters)
        return FastFlow.of(config, weights, flows, calibration)
