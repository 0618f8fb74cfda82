"""FastFlow for the commands that all methods share (anomaly/commands.py)."""

from pathlib import Path

from anomaly.commands.shared import Method
from fastflow.src import backbone
from fastflow.src.config import Config
from fastflow.src.deployed import DeployedFastFlow
from fastflow.src.detector import METHOD, FastFlow

FASTFLOW = Method(
    name=METHOD,
    config=Config,
    detector=FastFlow,
    deployed=DeployedFastFlow,
    load_backbone=backbone.load,
    layers=backbone.LAYERS,
    presets=Path(__file__).resolve().parents[1] / "config",
)
