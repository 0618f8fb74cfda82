"""Judges photographs with a trained PaDiM: one line for each, and a picture of what it sees.

python padim/predict.py --category bottle --image_path photo.png [--model_path bottle.onnx]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.commands import shared as commands
from padim.src.method import PADIM


def main(argv=None):
    return commands.predict(PADIM, __doc__, argv)


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
