"""timm's own networks, and torchvision's, with seeded weights and everything in them far from trivial, to compare with.

timm imports torchvision, and torchvision's wheel does not fit every build of torch: where its compiled part cannot be
loaded, two names that it registers are missing and the import fails, although nothing here uses them.
"""

import importlib

import numpy as np
import torch
import torch_resnet

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

THEIRS = {
    "deit_base_distilled_384": "deit_base_distilled_patch16_384",
    "cait_m48_448": "cait_m48_448",
    "dinov2_vits14": "vit_small_patch14_dinov2",
    "dinov2_vits14_reg": "vit_small_patch14_reg4_dinov2",
    "dinov2_vitb14": "vit_base_patch14_dinov2",
    "dinov2_vitb14_reg": "vit_base_patch14_reg4_dinov2",
}
VITS = {  # channels and blocks of small ones with the same heads
    "deit_base_distilled_384": (96, 4),  # one block more than is needed
    "dinov2_vits14": (48, 3),
    "dinov2_vits14_reg": (48, 3),
}
SMALL_CAIT = {"img_size": 64, "patch_size": 16, "embed_dim": 48, "num_heads": 4, "depth": 4, "depth_token_only": 1}


def seeded(name: str, seed: int) -> torch.nn.Module:
    """A small one with the same parts, for pictures of its own size but CaiT's."""
    if name not in VITS:
        return randomised(timm.models.cait.Cait(**SMALL_CAIT), seed)
    channels, depth = VITS[name]
    return randomised(timm.create_model(THEIRS[name], embed_dim=channels, depth=depth), seed)


def without_values(name: str) -> torch.nn.Module:
    """The whole network, of which nothing is computed or held."""
    with torch.device("meta"):
        return timm.create_model(THEIRS[name])


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


def normalised(images: np.ndarray) -> torch.Tensor:
    """B H W 3 uint8 -> B 3 H W."""
    return ((torch.from_numpy(images).float() / 255 - torch_resnet.MEAN) / torch_resnet.STD).permute(0, 3, 1, 2)


def features(net: torch.nn.Module, images: np.ndarray, *, blocks: list) -> list:
    """B H W 3 uint8 -> the tokens of the patches after these blocks, B C h w. Its positions are then for this size."""
    if hasattr(net, "set_input_size"):
        net.set_input_size(img_size=images.shape[1:3])
    with torch.inference_mode():
        return net.forward_intermediates(normalised(images), indices=blocks, norm=True, intermediates_only=True)


# Our name: torchvision's, and the parts whose outputs are compared.
TORCHVISION = {
    "wide_resnet101": ("wide_resnet101_2", ("layer1", "layer2", "layer3")),
    "resnext101_32x8d": ("resnext101_32x8d", ("layer1", "layer2", "layer3")),
    "densenet201": ("densenet201", ("features.denseblock1", "features.denseblock2", "features.denseblock3")),
}


def seeded_of_torchvision(name: str, seed: int) -> torch.nn.Module:
    models = importlib.import_module("torchvision.models")
    net = torch_resnet.randomised(getattr(models, TORCHVISION[name][0])(), seed)
    net.compared = TORCHVISION[name][1]
    return net


def features_of_torchvision(net: torch.nn.Module, images: np.ndarray) -> tuple:
    """B H W 3 uint8 -> the outputs of its parts."""
    found: list = []
    hooks = [
        net.get_submodule(part).register_forward_hook(lambda _, __, out: found.append(out)) for part in net.compared
    ]
    with torch.inference_mode():
        net(normalised(images))
    for hook in hooks:
        hook.remove()
    return tuple(found)


B5_BLOCKS = (7, 19, 26)  # counted through all stages


def seeded_b5(seed: int) -> torch.nn.Module:
    net = torch_resnet.randomised(timm.create_model("tf_efficientnet_b5"), seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in net.named_parameters():
        if ".se." in name and name.endswith("bias"):
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return net


def features_of_b5(net: torch.nn.Module, images: np.ndarray) -> tuple:
    """B H W 3 uint8 -> the outputs of the blocks."""
    found, blocks = [], [block for stage in net.blocks for block in stage]
    hooks = [blocks[i].register_forward_hook(lambda _, __, out: found.append(out)) for i in B5_BLOCKS]
    with torch.inference_mode():
        net.forward_features(normalised(images))
    for hook in hooks:
        hook.remove()
    return tuple(found)
