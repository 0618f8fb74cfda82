"""timm's own networks, with seeded weights and everything in them far from trivial, to compare with.

timm imports torchvision, and torchvision's wheel does not fit every build of torch: where its compiled part cannot be
loaded, two names that it registers are missing and the import fails, although nothing here uses them.
"""

import numpy as np
import torch

MISSING = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _timm():
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for each in MISSING:
            library.define(each)
        LIBRARIES.append(library)  # what it defines lives as long as it does
    import timm

    return timm


LIBRARIES: list = []
timm = _timm()

VITS = {
    "deit_base_distilled_384": ("deit_base_distilled_patch16_384", 9),  # blocks: one more than is needed
    "dinov2_vits14": ("vit_small_patch14_dinov2", 12),
    "dinov2_vits14_reg": ("vit_small_patch14_reg4_dinov2", 12),
}
SMALL_CAIT = {"img_size": 64, "patch_size": 16, "embed_dim": 48, "num_heads": 4, "depth": 4, "depth_token_only": 1}


def seeded(name: str, seed: int) -> torch.nn.Module:
    """For pictures of its own size; of CaiT a small one, with the same parts."""
    if name not in VITS:
        return randomised(timm.models.cait.Cait(**SMALL_CAIT), seed)
    theirs, depth = VITS[name]
    return randomised(timm.create_model(theirs, depth=depth), seed)


def randomised(net: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in net.named_parameters():
        if name.endswith("weight") and parameter.ndim > 1:
            parameter.data = torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5
        elif "gamma" in name or name.endswith("weight"):
            parameter.data = torch.rand(parameter.shape, generator=generator) + 0.5
        else:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return net.eval()


def features(net: torch.nn.Module, images: np.ndarray, *, blocks: list) -> list:
    """B H W 3 uint8 -> the tokens of the patches after these blocks, B C h w. Its positions are then for this size."""
    if hasattr(net, "set_input_size"):
        net.set_input_size(img_size=images.shape[1:3])
    mean, std = torch.tensor(timm.data.IMAGENET_DEFAULT_MEAN), torch.tensor(timm.data.IMAGENET_DEFAULT_STD)
    pixels = ((torch.from_numpy(images).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return net.forward_intermediates(pixels, indices=blocks, norm=True, intermediates_only=True)
