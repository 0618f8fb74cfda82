"""PatchCore for the commands that all methods share (anomaly/commands.py)."""

from pathlib import Path

from anomaly.commands.shared import Method
from patchcore.src import backbone
from patchcore.src.config import Config
from patchcore.src.deployed import DeployedPatchCore
from patchcore.src.detector import METHOD, PatchCore

PATCHCORE = Method(
    name=METHOD,
    config=Config,
    detector=PatchCore,
    deployed=DeployedPatchCore,
    load_backbone=backbone.load,
    layers=backbone.LAYERS,
    presets=Path(__file__).resolve().parents[1] / "config",
)
