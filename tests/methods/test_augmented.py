"""Training on changed copies: they are learnt from, left out with their photograph, and never scored."""

from dataclasses import replace

import numpy as np
import pytest

import anomaly
import fastflow
import padim
import patchcore
from anomaly import methods
from anomaly.data import augment, layouts
from anomaly.data.loader import read_sample
from anomaly.data.samples import grouped
from anomaly.run.errors import UsageError
from fastflow.src import training
from padim.src.gaussian import EPSILON, Accumulator
from padim.src.together import groups, left_out

pytestmark = pytest.mark.usefixtures("one_scale")

SIZE = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "device_target": "CPU"}
SMALL = {
    "patchcore": {**SIZE, "coreset_ratio": 0.2},
    "padim": {**SIZE, "embedding_dim": 20},
    "fastflow": {**SIZE, "flow_step": 1, "hidden_ratio": 0.25, "num_epochs": 2, "train_batch_size": 4},
}
COPIES = {"augment": "flips,rotation,light", "augment_copies": 2}


def train(toy):
    return layouts.to_train_on(toy / "gear")


def pictures(detector, samples):
    return np.stack([read_sample(each, detector.transform, with_mask=False)[0] for each in samples])


def expanded(detector, toy):
    config = detector.config
    return augment.expanded(train(toy), config.augment, copies=config.augment_copies, seed=config.seed)


@pytest.fixture(scope="module", params=methods.names())
def on(request, toy):
    """A method, and a detector of it that was trained on copies."""
    return request.param, methods.get(request.param).fit(toy / "gear", **SMALL[request.param], **COPIES)


def test_off_is_what_it_was_and_on_learns_from_more(toy, on):
    method, on = on
    options = [SMALL[method], {**SMALL[method], "augment": "none"}]
    configs = [methods.get(method).options(**each) for each in options]
    assert configs[0] == configs[1]
    plain = methods.get(method).fit(toy / "gear", **options[1])
    assert not np.array_equal(plain.calibration.scores, on.calibration.scores)
    assert on.calibration.names == plain.calibration.names or method == "fastflow"
    assert sorted(on.calibration.names) == sorted(plain.calibration.names)
    assert len(on.images) == 3 * len(plain.images) == 18


def test_patchcore_leaves_out_a_photograph_with_its_copies(toy):
    detector = patchcore.fit(toy / "gear", **SMALL["patchcore"], **COPIES)
    samples = expanded(detector, toy)
    _, number = grouped(samples)
    bank = detector.bank
    assert set(bank.image_of_row) <= set(range(6))
    features = detector.embedding(pictures(detector, samples)).reshape(len(samples), -1, bank.vectors.shape[1])
    for row, vector in list(zip(bank.image_of_row, bank.vectors))[::7]:  # a row is a patch of the photograph or a copy
        own = features[number == row].reshape(-1, len(vector))
        assert np.linalg.norm(own - vector, axis=1).min() < 1e-3 * np.linalg.norm(vector)
    for place in np.flatnonzero(augment.unchanged(samples)):
        others = bank.vectors[bank.image_of_row != number[place]]
        distances = np.linalg.norm(features[place][:, None] - others, axis=2).min(axis=1)
        peak = float(detector.anomaly_map(distances[None].astype(np.float32)).max())
        assert detector.calibration.peaks[number[place]] == pytest.approx(peak, rel=1e-3)


def test_patchcore_in_parts_scores_photographs_alone(toy, monkeypatch):
    from patchcore.src import dataset

    monkeypatch.setattr(dataset, "images_at_once", lambda config, images, embedding: 5)
    detector = patchcore.fit(toy / "gear", **SMALL["patchcore"], **COPIES)
    assert len(detector.calibration.scores) == 6 and detector.remark


def test_padim_leaves_out_a_photograph_with_its_copies(toy):
    detector = padim.fit(toy / "gear", **SMALL["padim"], **COPIES)
    assert detector.gaussians.count == 18
    samples = expanded(detector, toy)
    images = pictures(detector, samples)
    features = np.concatenate([detector.embedding(image[None]) for image in images])
    for number in range(6):
        kept = np.delete(features, range(3 * number, 3 * number + 3), axis=0)
        sums = Accumulator(kept.shape[1], kept.shape[2], images=len(kept))
        sums.add(kept)
        expected = detector.anomaly_map(sums.gaussians().distances(features[3 * number][None]))
        assert detector.calibration.scores[number] == pytest.approx(expected.max(), rel=1e-3)
        found = detector.left_out(images[3 * number][None], number)
        np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_padim_without_kept_embeddings_finds_the_same(toy, monkeypatch):
    from anomaly.run import memory

    expected = padim.fit(toy / "gear", **SMALL["padim"], **COPIES)
    monkeypatch.setattr(memory, "available", lambda: 1 << 19)
    found = padim.fit(toy / "gear", **SMALL["padim"], **COPIES)
    np.testing.assert_allclose(found.calibration.scores, expected.calibration.scores, rtol=1e-5)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    ("n", "d", "m"),
    [
        *[(12, 30, 3), (40, 20, 3), (9, 20, 1), (24, 20, 4), (21, 20, 3), (4, 10, 3), (20, 30, 5)],
        *[(40, 10, 15), (60, 5, 30), (30, 20, 25)],  # more images than dimensions, as of a photograph in tiles
    ],
)
def test_leaving_several_images_out_is_exact(n, d, m, same):
    x = np.random.default_rng(n).normal(size=(n, 5, d)).astype(np.float32) * np.linspace(0.1, 2, d, dtype=np.float32)
    if same and m > 1:
        x[1] = x[0]
    sums = Accumulator(5, d, images=n)
    sums.add(x)
    found = left_out(sums.gaussians(), x[:m])
    rest = x[m:].astype(float)
    for p in range(5):
        delta = rest[:, p] - rest[:, p].mean(axis=0)
        sigma = delta.T @ delta / max(len(rest) - 1, 1) + EPSILON * np.eye(d)
        away = x[:m, p] - rest[:, p].mean(axis=0)
        expected = np.sqrt((away * np.linalg.solve(sigma, away.T).T).sum(axis=1))
        np.testing.assert_allclose(found[:, p], expected, rtol=1e-3)


def test_photographs_are_put_together_whatever_the_batches():
    numbers = np.array([0, 0, 0, 1, 2, 2])
    x = np.arange(6, dtype=np.float32)[:, None, None]
    for size in (1, 2, 4, 6):
        found = [group[:, 0, 0].tolist() for group in groups((x[i : i + size] for i in range(0, 6, size)), numbers)]
        assert found == [[0, 1, 2], [3], [4, 5]]


def test_fastflow_trains_on_copies_of_what_it_trains_on_alone(toy, monkeypatch):
    seen, real = [], training.batches

    def noted(index, size, *, seed, epoch):
        order = list(real(index, size, seed=seed, epoch=epoch))
        seen.append(np.concatenate(order).tolist())
        return iter(order)

    monkeypatch.setattr(training, "batches", noted)
    detector = fastflow.fit(toy / "gear", **SMALL["fastflow"], **COPIES)
    held_out = [place for place, image in enumerate(detector.images) if image["held_out"]]
    [photograph] = {place // 3 for place in held_out}
    assert held_out == [3 * photograph]
    trained = sorted(set(range(18)) - set(range(3 * photograph, 3 * photograph + 3)))
    assert len(seen) == 2 and seen[0] != seen[1] and all(sorted(order) == trained for order in seen)


def test_no_update_of_what_was_trained_on_copies(toy, on):
    method, start = on
    with pytest.raises(UsageError, match="changed copies"):
        methods.get(method).fit(toy / "fabric", start=start)


def test_a_state_on_copies_is_saved_and_evaluated(toy, tmp_path, on):
    _, detector = on
    replace(detector, category="gear").save(tmp_path / "gear")
    loaded = anomaly.load(tmp_path / "gear")
    assert loaded.config.augment == "horizontal,vertical,rotation,light" and loaded.config.augment_copies == 2
    path = toy / "gear" / "test" / "rust" / "000.png"
    assert loaded.judge(path).score == pytest.approx(detector.judge(path).score, rel=1e-5)
    assert len(anomaly.evaluate(loaded, toy / "gear").images) == 12


@pytest.mark.parametrize("method", ["patchcore", "padim"])
@pytest.mark.parametrize("more", [{"tile": 48, "resize": 256}, {"backbone": "resnet18,resnet18@48"}])
def test_pieces_and_ensembles_take_copies_too(toy, method, more):
    options = {**SMALL[method], **more, "augment": "flips"}
    detector = methods.get(method).fit(toy / "gear", **options)
    plain = methods.get(method).fit(toy / "gear", **{**options, "augment": ""})
    assert detector.calibration.names == plain.calibration.names
    assert np.isfinite(detector.calibration.scores).all()
