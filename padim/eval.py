"""Evaluates a trained PaDiM, or a model exported from it, on the test images.

python padim/eval.py --dataset_path data --category bottle [--model_path bottle.onnx]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.commands import shared as commands
from padim.src.method import PADIM


def main(argv=None):
    return commands.evaluate(PADIM, __doc__, argv)


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
