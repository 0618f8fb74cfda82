"""Prepares the test photographs of a category for a device that runs an exported PaDiM.

python padim/preprocess.py --dataset_path data --category bottle --output_dir device --model_path bottle.mindir
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.commands import shared as commands
from padim.src.method import PADIM


def main(argv=None):
    return commands.preprocess(PADIM, __doc__, argv)


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
