"""Says how good the results of a device are that runs PatchCore; see anomaly/commands/postprocess.py, or --help."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import command
from anomaly.run.errors import guarded

main = command("postprocess", "patchcore")

if __name__ == "__main__":
    sys.exit(guarded(main))
