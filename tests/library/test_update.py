"""Further photographs, taken into what has been learnt."""

import importlib

import cv2
import numpy as np
import pytest

import anomaly
from anomaly.run.errors import DataError, UsageError
from anomaly.run.progress import log
from patchcore.src import coreset

pytestmark = pytest.mark.usefixtures("one_scale")

OPTIONS = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "device_target": "CPU"}
FLOW = {"flow_step": 1, "num_epochs": 2, "hidden_ratio": 0.2, "held_out": 0.3}


@pytest.fixture(scope="module")
def good(toy) -> list:
    return sorted((toy / "gear" / "train" / "good").iterdir())


@pytest.fixture(scope="module")
def banks(good) -> tuple:
    patchcore = importlib.import_module("patchcore")
    before = patchcore.fit(good[:4], coreset_ratio=0.2, **OPTIONS)
    return before, patchcore.fit(good[4:], start=before)


def naive(kept: int, points: np.ndarray, picks: int) -> set:
    """The farthest point first, of points of which the first are kept."""
    rows = list(range(kept))
    distances = np.linalg.norm(points[:, None] - points[:kept], axis=2).min(axis=1)
    while len(rows) < picks:
        rows.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(points - points[rows[-1]], axis=1))
    return set(rows)


def test_the_bank_keeps_its_rows_and_takes_the_farthest_new_ones(banks, good):
    before, after = banks
    images = np.stack([cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in good[4:]])
    patches = before.embedding(np.stack([before.transform.image(image) for image in images]))
    points = np.concatenate([before.bank.vectors, patches.reshape(-1, patches.shape[2])])
    shadows = coreset.project(points, before.config.seed).astype(float)
    wanted = naive(len(before.bank.vectors), shadows, int(len(good) * 64 * 0.2))
    np.testing.assert_array_equal(after.bank.vectors, points[sorted(wanted)])
    assert (np.diff(after.bank.image_of_row) >= 0).all()
    assert set(after.bank.image_of_row) <= set(range(len(good)))


def test_the_bank_is_bounded_and_covers_all_new_patches(banks, good):
    before, after = banks
    assert len(before.bank.vectors) < len(after.bank.vectors) == int(len(good) * 64 * 0.2)


def test_the_threshold_is_that_of_all_photographs(banks, good):
    before, after = banks
    assert len(after.calibration.scores) == len(good) > len(before.calibration.scores)
    assert set(after.calibration.names) == {path.name for path in good}
    for number, path in enumerate(good):  # each against the rows of the others
        patches = after.embedding(after.transform.image(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))[None])
        others = after.bank.vectors[after.bank.image_of_row != number]
        star = np.linalg.norm(patches[0][:, None] - others, axis=2).min(axis=1)
        row = after.calibration.names.index(path.name)
        assert after.calibration.peaks[row] == pytest.approx(after.anomaly_map(star[None]).max(), rel=1e-4)


def test_photographs_that_are_gone_keep_their_scores(toy, good, tmp_path):
    patchcore = importlib.import_module("patchcore")
    copies = [tmp_path / "lot1" / path.name for path in good[:4]]
    for copy, path in zip(copies, good):
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    before = patchcore.fit(copies, coreset_ratio=0.2, **OPTIONS)
    copies[1].unlink()
    after = patchcore.fit(good[4:], start=before)
    row = next(i for i, name in enumerate(after.calibration.names) if name.endswith(f"lot1/{copies[1].name}"))
    assert after.calibration.scores[row] == before.calibration.scores[1]


def test_a_flow_goes_on_and_what_was_held_out_stays_held_out(good):
    fastflow = importlib.import_module("fastflow")
    before = fastflow.fit(good[:4], **FLOW, **OPTIONS)
    after = fastflow.fit(good[4:], start=before, num_epochs=1)
    held = {image["path"] for image in before.images if image["held_out"]}
    assert held and held <= {image["path"] for image in after.images if image["held_out"]}
    trained = {image["path"] for image in before.images if not image["held_out"]}
    assert trained < {image["path"] for image in after.images if not image["held_out"]}
    image = str(good[0])
    assert after.judge(image).score != before.judge(image).score
    weights = [next(iter(detector.squares.cell.flows.get_parameters())).asnumpy() for detector in (before, after)]
    assert np.abs(weights[1] - weights[0]).max() > 0


@pytest.mark.parametrize("method", ["patchcore", "padim", "fastflow"])
def test_it_survives_the_state_and_says_what_has_changed(method, good, tmp_path, caplog):
    more = {"patchcore": {"coreset_ratio": 0.2}, "padim": {"embedding_dim": 20}, "fastflow": FLOW}[method]
    module = importlib.import_module(method)
    module.fit(good[:4], **more, **OPTIONS).save(tmp_path / "gear")
    start = anomaly.load(tmp_path / "gear", device_target="CPU")
    log.propagate = True
    with caplog.at_level("INFO"):
        after = module.fit(good[4:], start=start)
    assert "changed: " in caplog.text and "threshold" in caplog.text
    after.save(tmp_path / "again")
    assert anomaly.load(tmp_path / "again", device_target="CPU").judge(good[0]).score == pytest.approx(
        after.judge(good[0]).score, rel=1e-5
    )
    with pytest.raises(DataError, match="nothing to add"):
        module.fit(good, start=after)


def test_what_cannot_be_updated_says_so(good):
    patchcore = importlib.import_module("patchcore")
    tiled = patchcore.fit(good[:3], **(OPTIONS | {"tile": 64}))
    with pytest.raises(UsageError, match="tiles"):
        patchcore.fit(good[3:], start=tiled)
