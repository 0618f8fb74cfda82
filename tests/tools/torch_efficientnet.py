"""EfficientNet-Lite0 by its makers in PyTorch, with seeded weights, to compare with."""

import torch
import torch_resnet
from efficientnet_lite_pytorch import EfficientNet

BLOCKS = (2, 4, 10)


def seeded(size: tuple, seed: int) -> EfficientNet:
    """For pictures of (height, width)."""
    return torch_resnet.randomised(EfficientNet.from_name("efficientnet-lite0", image_size=size), seed)


def features(net: EfficientNet, images) -> tuple:
    """B H W 3 uint8 -> the outputs of the blocks."""
    found = []
    hooks = [net._blocks[i].register_forward_hook(lambda _, __, out: found.append(out)) for i in BLOCKS]
    with torch.inference_mode():
        net.extract_features((torch.from_numpy(images).float().permute(0, 3, 1, 2) - 127) / 128)
    for hook in hooks:
        hook.remove()
    return tuple(found)
