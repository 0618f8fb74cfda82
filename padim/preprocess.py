"""Prepares photographs for a device that runs PaDiM; see anomaly/commands/preprocess.py, or --help."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import command
from anomaly.run.errors import guarded

main = command("preprocess", "padim")

if __name__ == "__main__":
    sys.exit(guarded(main))
