"""Patch features against the paper's recipe in PyTorch, with the same weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch_resnet
from commands import picture
from mindspore import Tensor
from torch.nn import functional

import patchcore
from anomaly import methods
from anomaly.networks.weights import load_backbone
from patchcore.src.embedding import PatchEmbedding


def recipe(net, images: np.ndarray) -> np.ndarray:
    """B N D: 3 x 3 means of layers 2 and 3, layer 3 brought to the grid of layer 2, one row for each position."""
    _, layer2, layer3 = torch_resnet.features(net, images)
    fine, coarse = functional.avg_pool2d(layer2, 3, 1, 1), functional.avg_pool2d(layer3, 3, 1, 1)
    coarse = functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat((fine, coarse), dim=1).flatten(2).transpose(1, 2).numpy()


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (75, 101)])
def test_patches_are_those_of_the_recipe(resnet18_ckpt, torch_resnet18, size):
    images = np.stack([picture(*size, seed=i) for i in range(2)])
    weights = load_backbone("resnet18", ("layer2", "layer3"), source=str(resnet18_ckpt), seed=0)
    embedding = PatchEmbedding(weights, size)
    found, wanted = embedding(Tensor(images)).asnumpy(), recipe(torch_resnet18, images)
    assert found.shape == wanted.shape == (2, embedding.grid[0] * embedding.grid[1], embedding.dimensions)
    assert found.dtype == np.float32
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_an_image_has_the_same_patches_in_any_batch(resnet18_ckpt):
    weights = load_backbone("resnet18", ("layer2", "layer3"), source=str(resnet18_ckpt), seed=0)
    embedding = PatchEmbedding(weights, (64, 64))
    images = np.stack([picture(64, 64, seed=i) for i in range(3)])
    together = embedding(Tensor(images)).asnumpy()
    for i in range(3):
        alone = embedding(Tensor(images[i : i + 1])).asnumpy()[0]
        assert np.abs(alone - together[i]).max() <= 1e-5 * np.abs(alone).max()


def test_more_copies_of_a_row_than_neighbours_give_the_score_of_the_state(resnet18_ckpt):
    """Of rows that are equally near to m*, as many count as k says."""
    plain = np.full((64, 64, 3), 30, np.uint8)
    options = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": str(resnet18_ckpt)}
    fitted = patchcore.fit([plain, *(picture(64, 64, seed=i) for i in range(3))], coreset_ratio=1.0, k=3, **options)
    copies = np.repeat(fitted.bank.vectors[:1], 12, axis=0)
    bank = replace(fitted.bank, vectors=np.concatenate([copies, fitted.bank.vectors[64:]]))
    detector = replace(fitted, bank=bank)
    images = np.stack([plain // 2, plain + 60, picture(64, 64, seed=9)])
    for found, wanted in zip(methods.get("patchcore").model(detector)(Tensor(images)), detector.score(images)):
        assert np.allclose(found.asnumpy(), wanted, rtol=1e-3, atol=1e-3)
