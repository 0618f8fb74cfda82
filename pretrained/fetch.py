"""Gets pretrained weights and prints where they are; `anomaly fetch` of an installed package does the same.

python pretrained/fetch.py resnet18-f37072fd
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands.fetch import main
from anomaly.run.errors import guarded

if __name__ == "__main__":
    sys.exit(guarded(main))
