"""PatchCore's other scores and fewer dimensions, against scikit-learn and plain loops, from fitting to an ONNX file."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

import anomaly
import patchcore
from anomaly import methods
from anomaly.deploy import export
from anomaly.run.errors import DataError, UsageError
from patchcore.src import memory_bank, reduction
from patchcore.src.anomaly_map import AnomalyMap
from patchcore.src.config import Config
from patchcore.src.memory_bank import MemoryBank

OPTIONS = {"backbone": "efficientnet_lite0", "resize": 64, "crop": None, "coreset_ratio": 0.3, "device_target": "CPU"}


def drawn(images: int, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 0.6, (images, count, 24)).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "count", "top"), [("max", 196, 1), ("top1", 196, 2), ("top1", 1024, 11), ("top1", 9, 1)]
)
def test_the_score_is_the_mean_of_the_largest_distances(kind, count, top):
    bank = MemoryBank(drawn(1, 60, 0)[0], np.zeros(60, np.int32), 9, kind)
    images = drawn(3, count, 1)
    distances, scores = bank.score(images)
    for image, found in zip(images, scores):
        nearest = sorted(min(float(np.linalg.norm(patch - row)) for row in bank.vectors) for patch in image)
        assert found == pytest.approx(np.mean(nearest[-top:]), rel=1e-4)
    assert distances.shape == (3, count)


@pytest.mark.parametrize("kind", ["reweighted", "max", "top1"])
def test_left_out_scores_are_those_of_a_bank_without_the_image(kind):
    rows, image_of_row = drawn(1, 300, 0)[0], np.repeat(np.arange(3), 100).astype(np.int32)
    bank, image = MemoryBank(rows, image_of_row, 9, kind), drawn(1, 1024, 1)[0]
    others = MemoryBank(rows[image_of_row != 1], image_of_row[image_of_row != 1], 9, kind)
    anomaly_map = AnomalyMap((32, 32), (256, 256))
    score, peak = bank.extremes(image, anomaly_map, skip=bank.rows_of(1))
    distances, [wanted] = others.score(image[None])
    assert score == pytest.approx(wanted, rel=1e-5)
    assert peak == pytest.approx(anomaly_map(distances).max(), rel=1e-5)


@pytest.mark.parametrize("whiten", [False, True])
def test_components_are_those_of_scikit_learn(whiten):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 12)) * np.linspace(1, 4, 12) + rng.normal(size=12)
    config = Config(backbone="resnet18", dimensions=5, whiten=whiten)
    found = reduction.of(rows.mean(axis=0), np.cov(rows.T, bias=True), config=config)
    wanted = PCA(5, whiten=whiten, svd_solver="full").fit(rows).transform(rows)
    wanted *= np.sqrt(len(rows) / (len(rows) - 1)) if whiten else 1  # it divides by n - 1
    mine = rows @ found.matrix[:-1] + found.matrix[-1]
    signs = np.sign((mine * wanted).sum(axis=0))
    np.testing.assert_allclose(mine, wanted * signs, atol=1e-4)


@pytest.fixture(
    scope="module", params=[{"score": "top1", "dimensions": 40}, {"score": "max", "dimensions": 20, "whiten": True}]
)
def fitted(request, toy):
    return request.param, patchcore.fit(toy / "gear" / "train" / "good", **OPTIONS, **request.param)


def test_state_and_model_judge_as_the_fitted_one(fitted, toy, tmp_path):
    chosen, detector = fitted
    assert detector.bank.vectors.shape[1] == chosen["dimensions"]
    pictures = toy / "gear" / "test" / "rust"
    wanted = [judgement.score for judgement in detector.judge(pictures)]
    assert len(wanted) == 3 and len(set(wanted)) == 3
    detector.save(tmp_path / "gear")
    found = [judgement.score for judgement in anomaly.load(tmp_path / "gear").judge(pictures)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    model = tmp_path / "model" / "gear.onnx"
    method = methods.get("patchcore")
    export.export(detector, method.model, target=model, file_format="ONNX", category="gear", batch=None)
    exported = anomaly.load(model).judge(pictures)
    np.testing.assert_allclose([judgement.score for judgement in exported], wanted, rtol=1e-3)
    for mine, state in zip(exported, detector.judge(pictures)):
        np.testing.assert_allclose(mine.map, state.map, rtol=1e-3, atol=1e-3 * state.map.max())


def test_whitened_patches_have_one_spread(toy):
    chosen = {**OPTIONS, "coreset_ratio": 1.0, "dimensions": 30, "whiten": True}
    rows = patchcore.fit(toy / "gear" / "train" / "good", **chosen).bank.vectors  # all patches
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(30), atol=1e-2)


def test_a_missing_or_foreign_file_of_components_is_named(fitted, tmp_path):
    _, detector = fitted
    detector.save(tmp_path / "gear")
    np.save(tmp_path / "gear" / reduction.FILE, np.zeros((3, 3)))
    with pytest.raises(DataError, match="components"):
        anomaly.load(tmp_path / "gear")
    (tmp_path / "gear" / reduction.FILE).unlink()
    with pytest.raises(DataError, match="components"):
        anomaly.load(tmp_path / "gear")


def test_options_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="--dimensions 500: resnet18 has 384"):
        Config(backbone="resnet18", dimensions=500)
    with pytest.raises(UsageError, match="--whiten needs --dimensions"):
        Config(whiten=True)
    with pytest.raises(UsageError, match="score"):
        Config(score="mean")


def test_a_small_bank_is_enough_for_the_mean(toy):
    assert memory_bank.top_of(1, "top1") == 1 and memory_bank.top_of(101, "top1") == 2
