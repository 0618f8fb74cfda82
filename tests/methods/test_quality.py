"""A floor below each method, on drawn photographs that are always there: one that stopped detecting falls through it.

The network is seeded and untrained, so the figures are far from those of a pretrained one, but also far from chance.
"""

import numpy as np
import pytest

import anomaly
from anomaly import methods
from anomaly.data import toydata

OPTIONS = {"backbone": "resnet18", "resize": 96, "crop": None, "pre_ckpt_path": "random", "device_target": "CPU"}
# Options of each method, and the least image AUROC and pixel AUROC.
FLOORS = {
    "patchcore": ({"coreset_ratio": 0.1}, 0.85, 0.88),
    "padim": ({"embedding_dim": 60}, 0.95, 0.93),
    "fastflow": (
        {"num_epochs": 4, "flow_step": 2, "hidden_ratio": 0.5, "train_batch_size": 5, "lr": 0.002},
        0.85,
        0.9,
    ),
}


@pytest.fixture(scope="module")
def fabric(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    toydata.make(folder, train=10, test=4, size=128, categories=("fabric",))
    return folder / "fabric"


def test_every_method_has_a_floor():
    assert FLOORS.keys() == set(methods.names())


@pytest.mark.parametrize("name", FLOORS)
def test_defects_are_found_and_located(name, fabric, monkeypatch):
    options, image, pixel = FLOORS[name]
    detector = methods.get(name).fit(fabric, **OPTIONS, **options)
    found = anomaly.evaluate(detector, fabric)
    assert found.img_auc >= image and found.pixel_auc >= pixel
    # The same detector that looks at something else falls through: the floor would tell.
    score, rng = type(detector).score, np.random.default_rng(0)
    noise = lambda self, images: score(self, rng.integers(0, 256, images.shape, dtype=np.uint8))  # noqa: E731
    monkeypatch.setattr(type(detector), "score", noise)
    blind = anomaly.evaluate(detector, fabric)
    assert blind.img_auc < image and blind.pixel_auc < pixel
