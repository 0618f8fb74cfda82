"""Turns torchvision's or timm's weights into a MindSpore checkpoint.

python pretrained/pthtockpt.py --pth_path resnet18-f37072fd.pth [--ckpt_path resnet18-f37072fd.ckpt]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.networks.weights import convert
from anomaly.run.errors import guarded


def main(argv=None):
    parser = argparse.ArgumentParser(description="Turns weights in .pth or .safetensors into a MindSpore checkpoint.")
    parser.add_argument("--pth_path", required=True, type=Path, help="the .pth or .safetensors file")
    parser.add_argument("--ckpt_path", type=Path, help="the checkpoint to write; default: beside it, with .ckpt")
    args = parser.parse_args(argv)
    target = args.ckpt_path or args.pth_path.with_suffix(".ckpt")
    name = convert(args.pth_path, target)
    print(f"{name}: {target}")


if __name__ == "__main__":
    sys.exit(guarded(main))
