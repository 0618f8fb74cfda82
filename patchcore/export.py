"""Writes a trained PatchCore as one MINDIR or ONNX file: photographs in, anomaly maps and scores out.

python patchcore/export.py --category bottle --file_format ONNX
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly import cli, export
from anomaly.device import set_device
from patchcore.src import backbone
from patchcore.src.config import Config
from patchcore.src.deployed import DeployedPatchCore
from patchcore.src.detector import METHOD, PatchCore


def main(argv=None):
    args, config = cli.export_options(__doc__, Config, argv, METHOD, Path(__file__).parent / "config")
    set_device(config.device_target, config.device_id)
    weights = backbone.load(config)
    folder = cli.output_folder(config, METHOD)
    if args.part == "backbone":
        target = args.file_name or folder / f"{config.backbone}{export.SUFFIXES[args.file_format]}"
        export.export_backbone(weights, backbone.LAYERS, config, target, args.file_format, args.export_batch_size)
    else:
        category = config.category[0]
        target = args.file_name or folder / category / f"{METHOD}_{category}{export.SUFFIXES[args.file_format]}"
        detector = PatchCore.load(folder / category, config, weights)
        cell = DeployedPatchCore(detector)
        export.export(detector, cell, config, category, target, args.file_format, args.export_batch_size)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
