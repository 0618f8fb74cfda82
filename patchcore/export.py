"""Writes a trained PatchCore as one MINDIR or ONNX file: photographs in, anomaly maps and scores out.

python patchcore/export.py --category bottle --file_format ONNX
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.commands import shared as commands
from patchcore.src.method import PATCHCORE


def main(argv=None):
    return commands.export_model(PATCHCORE, __doc__, argv)


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
