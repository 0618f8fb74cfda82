"""Evaluates a trained PatchCore, or a model exported from it, on the test images.

python patchcore/eval.py --dataset_path data --category bottle [--model_path bottle.onnx]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.commands import shared as commands
from patchcore.src.method import PATCHCORE


def main(argv=None):
    return commands.evaluate(PATCHCORE, __doc__, argv)


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
