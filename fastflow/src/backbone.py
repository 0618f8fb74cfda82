"""Which network FastFlow looks through, at which layers, with which weights."""

from anomaly.networks import fetch, weights
from fastflow.src.config import Config

LAYERS = ("layer1", "layer2", "layer3")
WEIGHTS = {"wide_resnet50": "wide_resnet50_racm-8234f177", "resnet18": "resnet18-f37072fd"}


def source(config: Config) -> str:
    return fetch.checkpoint(config.pre_ckpt_path, WEIGHTS[config.backbone])


def load(config: Config) -> weights.Backbone:
    return weights.load_backbone(config.backbone, LAYERS, source(config), config.seed)
