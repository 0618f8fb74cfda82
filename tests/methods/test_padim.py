"""What PaDiM has of its own: its flags, the choice of the embedding, going on with a state."""

import json
import shutil

import numpy as np
import pytest
import torch
from commands import CPU, RANDOM, run
from mindspore import Tensor

import padim
from anomaly.engines.frozen import Frozen
from anomaly.run import memory
from anomaly.run.errors import UsageError
from padim import eval as padim_eval
from padim import train as padim_train
from padim.src.backbone import projection
from padim.src.config import Config
from padim.src.embedding import PositionEmbedding

OPTIONS = ("--backbone", "resnet18", "--resize", "64", "--crop", "none", "--embedding_dim", "20", *RANDOM, *CPU)


def drawn(embedding_dim, embedding="random", seed=1):
    return projection(448, embedding_dim, kind=embedding, seed=seed)


def test_drawn_channels_are_a_seeded_choice_without_repetition():
    matrix = drawn(100)
    assert matrix.shape == (448, 100)
    assert (matrix.sum(axis=0) == 1).all() and (matrix.sum(axis=1) <= 1).all() and set(np.unique(matrix)) == {0, 1}
    np.testing.assert_array_equal(matrix, drawn(100))
    assert (matrix != drawn(100, seed=2)).any()


def test_a_semi_orthogonal_projection_has_orthonormal_columns():
    matrix = drawn(100, "semi_orthogonal").astype(np.float64)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(100), atol=1e-6)


def test_more_dimensions_than_channels_are_refused():
    with pytest.raises(UsageError, match="448"):
        Config(backbone="resnet18", embedding_dim=449)


@pytest.mark.parametrize("kind", ["random", "semi_orthogonal"])
def test_the_embedding_is_that_of_pytorch(kind, torch_resnet18, resnet18_ckpt):
    from torch_resnet import features

    from anomaly.networks.weights import load_backbone

    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    backbone = load_backbone("resnet18", ("layer1", "layer2", "layer3"), source=str(resnet18_ckpt), seed=1)
    with torch.no_grad():
        layers = features(torch_resnet18, images)
        size = layers[0].shape[2:]
        layers = [torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False) for x in layers]
        expected = torch.cat(layers, 1).flatten(2).transpose(1, 2) @ torch.from_numpy(drawn(30, kind))
    found = PositionEmbedding(backbone, (64, 96), d=30, kind=kind, seed=1)(Tensor(images)).asnumpy()
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("free, folder, times", [(1 << 40, False, 1), (1 << 18, True, 1), (1 << 18, False, 2)])
def test_each_photograph_goes_through_the_network_once(toy, tmp_path, monkeypatch, free, folder, times):
    """Embeddings are kept in memory, or in a file; twice only where there is neither."""
    seen, real = [], Frozen.__call__

    def counted(self, *images):
        seen.append(len(images[0]))
        return real(self, *images)

    options = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "embedding_dim": 20}
    expected = padim.fit(toy / "gear", device_target="CPU", batch_size=2, **options)
    monkeypatch.setattr(Frozen, "__call__", counted)
    monkeypatch.setattr(memory, "available", lambda: free)
    found = padim.fit(toy / "gear", device_target="CPU", batch_size=2, folder=tmp_path if folder else None, **options)
    assert sum(seen) == 6 * times
    assert not list(tmp_path.iterdir())  # the file is gone
    np.testing.assert_allclose(found.calibration.scores, expected.calibration.scores, rtol=1e-5)


def split_data(toy, folder):
    """The category with four of its six training images, and the two others."""
    shutil.copytree(toy / "gear", folder / "gear")
    good = folder / "gear" / "train" / "good"
    later = sorted(good.iterdir())[4:]
    kept = {path: path.read_bytes() for path in later}
    for path in later:
        path.unlink()
    return kept


def test_update_gives_the_state_of_training_on_all_at_once(toy, tmp_path):
    data = tmp_path / "data"
    later = split_data(toy, data)
    base = ("--dataset_path", data, "--class_name", "gear", "--save_path")
    assert run(padim_train.main, *base, tmp_path / "out", *OPTIONS).code == 0
    for path, content in later.items():
        path.write_bytes(content)
    updated = run(padim_train.main, *base, tmp_path / "out", "--update", *CPU)
    assert updated.code == 0, updated.err
    assert run(padim_train.main, *base, tmp_path / "whole", *OPTIONS).code == 0
    found, expected = (json.loads((tmp_path / name / "gear" / "results.json").read_text()) for name in ("out", "whole"))
    for a, b in zip(found["images"], expected["images"]):
        assert a["score"] == pytest.approx(b["score"], rel=2e-3)
    assert found["threshold"] == pytest.approx(expected["threshold"], rel=5e-3)
    again = run(padim_train.main, *base, tmp_path / "out", "--update", *CPU)
    assert again.code == 1 and "nothing to add" in again.err


def test_update_needs_a_state_and_keeps_its_options(toy, tmp_path):
    base = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--update")
    missing = run(padim_train.main, *base, *CPU)
    assert missing.code == 1 and "holds no trained state" in missing.err
    assert run(padim_train.main, *base[:-1], *OPTIONS).code == 0
    changed = run(padim_train.main, *base, "--embedding_dim", "30", *CPU)
    assert changed.code == 1 and "embedding_dim" in changed.err


def test_half_precision_gives_the_same_figures_in_half_the_space(toy, tmp_path):
    base = ("--dataset_path", toy, "--category", "gear", "--output_dir")
    for storage in ("float32", "float16"):
        assert run(padim_train.main, *base, tmp_path / storage, *OPTIONS, "--storage", storage).code == 0
    full, half = (tmp_path / storage / "gear" for storage in ("float32", "float16"))
    sizes = [(folder / "gaussian" / "factor.npy").stat().st_size for folder in (full, half)]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.01)
    a, b = (json.loads((folder / "results.json").read_text()) for folder in (full, half))
    assert b["img_auc"] == pytest.approx(a["img_auc"], abs=1e-3)
    assert b["pixel_auc"] == pytest.approx(a["pixel_auc"], abs=1e-3)
    refused = run(padim_train.main, *base, tmp_path / "float16", "--update", *CPU)
    assert refused.code == 1
    assert run(padim_eval.main, *base, tmp_path / "float16", *CPU).code == 0


def test_defects_of_hazelnuts_are_found_and_located(real, tmp_path):
    weights = real / "weights" / "resnet18-layer123.pth"
    result = run(
        padim_train.main, "--dataset_path", real / "realdata", "--category", "hazelnut_toy", "--output_dir", tmp_path,
        "--pre_ckpt_path", weights, "--backbone", "resnet18", "--crop", "none", "--embedding_dim", "100", *CPU,
    )  # fmt: skip
    assert result.code == 0, result.err
    figures = json.loads((tmp_path / "hazelnut_toy" / "results.json").read_text())
    assert figures["img_auc"] >= 0.99
    assert figures["pixel_auc"] >= 0.985
