"""Says how good the maps and scores are that a device has made with an exported PaDiM.

python padim/postprocess.py --result_dir device/result --label_dir device/label --category bottle
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.commands import shared as commands
from padim.src.method import PADIM


def main(argv=None):
    return commands.postprocess(PADIM, __doc__, argv)


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
