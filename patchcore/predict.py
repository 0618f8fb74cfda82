"""Judges photographs with a trained PatchCore: one line for each, and a picture of what it sees.

python patchcore/predict.py --category bottle --image_path photo.png [--model_path bottle.onnx]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly import cli, prediction
from anomaly.device import set_device
from patchcore.src import backbone
from patchcore.src.config import Config
from patchcore.src.detector import METHOD, PatchCore


def main(argv=None):
    args, config = cli.prediction_options(__doc__, Config, argv, METHOD)
    paths = prediction.find_images(args.image_path)
    set_device(config.device_target, config.device_id)
    folder = cli.output_folder(config, METHOD) / config.category[0]
    if args.model_path:
        detector, config = cli.with_model(Config, args, METHOD)
    else:
        detector = PatchCore.load(folder, config, backbone.load(config))
    return prediction.predict(detector, paths, config, args, folder / "predict")


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
