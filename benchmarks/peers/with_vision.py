"""Lets torchvision be imported where its compiled part is for another build of torch: for GPUs, beside a torch without.

That is what a package registry may offer together. The part holds operators for boxes, which nothing here calls, but
torchvision asks for the names of two. Imported before it.
"""

import importlib.util
from pathlib import Path

import torch

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
spec = importlib.util.find_spec("torchvision")
compiled = sorted(Path(spec.origin).parent.glob("_C*.so")) if spec and spec.origin else []
try:
    for library in compiled:
        torch.ops.load_library(library)
except OSError:
    kept = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        kept.define(name + SIGNATURE)
