"""Gets pretrained weights from their official address and converts them; prints the checkpoint's path.

python pretrained/fetch.py resnet18-f37072fd
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.networks import registry
from anomaly.networks.fetch import PRETRAINED, TIMEOUT, fetch
from anomaly.run.errors import guarded


def main(argv=None):
    parser = argparse.ArgumentParser(description="Gets pretrained weights and converts them for MindSpore.")
    parser.add_argument("name", choices=registry.addresses())
    parser.add_argument("--folder", type=Path, default=PRETRAINED, help="where to put them")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds to wait for an answer")
    parser.add_argument("--no_convert", action="store_true", help="only download the .pth")
    args = parser.parse_args(argv)
    checkpoint = args.folder / f"{args.name}.ckpt"
    if not checkpoint.is_file() or args.no_convert:
        path = fetch(args.name, args.folder, timeout=args.timeout)
        if args.no_convert:
            print(path)
            return
        from anomaly.networks.weights import convert

        convert(path, checkpoint)
    print(checkpoint)


if __name__ == "__main__":
    sys.exit(guarded(main))
