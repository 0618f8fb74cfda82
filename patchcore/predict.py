"""Judges photographs with a trained PatchCore: one line for each, and a picture of what it sees.

python patchcore/predict.py --category bottle --image_path photo.png [--model_path bottle.onnx]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.commands import shared as commands
from patchcore.src.method import PATCHCORE


def main(argv=None):
    return commands.predict(PATCHCORE, __doc__, argv)


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
