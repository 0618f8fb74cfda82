"""PaDiM for the commands that all methods share (anomaly/commands.py)."""

from pathlib import Path

from anomaly.commands.shared import Method
from padim.src import backbone
from padim.src.config import Config
from padim.src.deployed import DeployedPaDiM
from padim.src.detector import METHOD, PaDiM

PADIM = Method(
    name=METHOD,
    config=Config,
    detector=PaDiM,
    deployed=DeployedPaDiM,
    load_backbone=backbone.load,
    layers=backbone.LAYERS,
    presets=Path(__file__).resolve().parents[1] / "config",
    compact=PaDiM.compact,
)
