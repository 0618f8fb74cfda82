"""fit, judge, save, load and evaluate, as a program calls them: no flags, no data set, nothing on the disk."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import picture
from PIL import Image
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

import anomaly
from anomaly import methods
from anomaly.data.images import read_image, read_mask
from anomaly.data.layouts import load_category
from anomaly.data.samples import Sample
from anomaly.deploy import state
from anomaly.run.progress import Step

pytestmark = pytest.mark.usefixtures("one_scale")

SIZE = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "device_target": "CPU"}
OPTIONS = {
    "patchcore": {"coreset_ratio": 0.2},
    "padim": {"embedding_dim": 20},
    "fastflow": {"flow_step": 1, "hidden_ratio": 0.25, "num_epochs": 3, "train_batch_size": 4},
}
PHASES = {
    "patchcore": ["features", "coreset", "calibration"],
    "padim": ["features", "gaussians", "calibration"],
    "fastflow": ["features", "training"],
}


@pytest.fixture(scope="module")
def gear(toy):
    return load_category(toy, "gear")


@pytest.fixture(scope="module")
def arrays(gear) -> list:
    return [read_image(sample.path) for sample in gear.train]


@pytest.fixture(scope="module", params=methods.names())
def fitted(request, arrays):
    """A method fitted to arrays: its name, the detector, what the callback was told."""
    steps: list[Step] = []
    method = methods.get(request.param)
    more = OPTIONS.get(request.param, {})
    return request.param, method.fit(arrays, progress=steps.append, **SIZE, **more), steps


def test_the_callback_is_told_of_each_phase_up_to_its_end(fitted):
    name, _, steps = fitted
    assert list(dict.fromkeys(step.phase for step in steps)) == PHASES.get(name, [step.phase for step in steps][:1])
    for phase in {step.phase for step in steps}:
        told = [(step.done, step.total) for step in steps if step.phase == phase]
        assert told[0][0] == 0 and told[-1][0] == told[-1][1] > 0


def test_paths_a_folder_and_arrays_are_fitted_alike(fitted, gear, toy, arrays):
    name, detector, _ = fitted
    expected = [judgement.score for judgement in detector.judge(arrays)]
    paths = [str(sample.path) for sample in gear.train]
    ways = (paths, toy / "gear", toy / "gear" / "train" / "good", gear, np.stack(arrays))
    for photographs in ways[: 2 if name == "fastflow" else None]:  # whose training takes longer
        other = methods.get(name).fit(photographs, **SIZE, **OPTIONS.get(name, {}))
        assert [judgement.score for judgement in other.judge(arrays)] == pytest.approx(expected, rel=1e-4)


def test_fitting_writes_nothing(fitted, arrays, tmp_path, monkeypatch):
    name, _, _ = fitted
    monkeypatch.chdir(tmp_path)
    written = []
    real = os.open

    def recorded(path, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(path)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", recorded)
    methods.get(name).fit(arrays, **SIZE, **OPTIONS.get(name, {}))
    assert list(tmp_path.iterdir()) == []
    assert [path for path in written if "rank_0" not in str(path) and "/dev/" not in str(path)] == []


def test_one_photograph_gives_a_judgement_and_several_a_list(fitted, gear, arrays):
    _, detector, _ = fitted
    sample = gear.test[0]
    one = detector.judge(sample.path)
    assert isinstance(one, anomaly.Judgement)
    assert one.map.shape == one.image.shape[:2] == (64, 64) and one.map.dtype == np.float32
    assert one.verdict in ("NORMAL", "ANOMALOUS") and (one.normalised > 0.5) == (one.verdict == "ANOMALOUS")
    assert one.regions == () and one.sample.path == sample.path
    same = (
        detector.judge(str(sample.path)),
        detector.judge(read_image(sample.path)),
        detector.judge(Image.open(sample.path)),
    )
    assert [each.score for each in same] == [one.score] * 3
    grey = cv2.cvtColor(read_image(sample.path), cv2.COLOR_RGB2GRAY)
    assert detector.judge(grey).score == detector.judge(np.dstack([grey] * 3)).score
    several = detector.judge([sample.path, arrays[0], Image.fromarray(arrays[0])])
    assert [each.sample.path.name for each in several] == ["000.png", "photograph 1", "photograph 2"]
    assert several[1].score == pytest.approx(several[2].score, rel=1e-4)
    assert several[0].score == pytest.approx(one.score, rel=1e-4)
    assert len(detector.judge(np.stack(arrays))) == len(arrays)
    assert len(detector.judge(sample.path.parent)) == 3


def test_a_detector_is_printed_in_one_line(fitted):
    method, detector, _ = fitted
    assert re.fullmatch(rf"<\w+ of {method}: resnet18, .*, threshold \S+>", repr(detector))


def test_any_size_of_photograph_is_judged(fitted):
    _, detector, _ = fitted
    assert detector.judge(picture(50, 90)).map.shape == (64, 64)


def test_what_was_saved_judges_the_same_when_loaded(fitted, gear, tmp_path):
    name, detector, _ = fitted
    detector.save(tmp_path / "gear")
    loaded = anomaly.load(tmp_path / "gear", device_target="CPU", network=detector.backbone)
    assert (loaded.method, loaded.category, loaded.scales) == (name, "gear", detector.scales)
    for sample in gear.test[:3]:
        assert loaded.judge(sample.path).score == detector.judge(sample.path).score


def test_a_threshold_can_be_chosen_again(fitted, tmp_path):
    _, detector, _ = fitted
    lenient = detector.with_rate(0.5)
    assert lenient.scales.image.threshold < detector.scales.image.threshold
    lenient.save(tmp_path / "gear")
    known = {"device_target": "CPU", "network": detector.backbone}
    assert anomaly.load(tmp_path / "gear" / "state.json", **known).scales == lenient.scales
    assert anomaly.load(tmp_path / "gear", false_alarm_rate=0.01, **known).scales == detector.scales


def test_an_evaluation_is_what_scikit_learn_makes_of_the_judgements(fitted, gear, toy):
    _, detector, _ = fitted
    found = anomaly.evaluate(detector, toy / "gear")
    assert found == found and found.images == anomaly.evaluate(detector, gear).images
    judged = [(sample, detector.judge(sample.path)) for sample in gear.test]
    labels, scores = [sample.anomalous for sample, _ in judged], [judgement.score for _, judgement in judged]
    assert found.img_auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
    masks = [read_mask(s.mask) if s.mask else np.zeros((64, 64), bool) for s, _ in judged]
    maps = np.stack([judgement.map for _, judgement in judged])
    assert found.pixel_auc == pytest.approx(roc_auc_score(np.ravel(masks), maps.ravel()), abs=1e-5)
    assert found.verdicts.good == 3 and found.verdicts.anomalous == 9
    x, y, _ = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(np.c_[found.img_roc.x, found.img_roc.y], np.c_[x, y])
    precision, recall, limits = precision_recall_curve(labels, scores)
    order = slice(None, None, -1)  # scikit-learn goes from the lowest threshold up and ends in (0, 1)
    points = np.c_[found.img_pr.x, found.img_pr.y][: len(limits)]
    np.testing.assert_allclose(points, np.c_[recall[:-1][order], precision[:-1][order]][: len(points)])


def test_the_curves_of_pixels_are_short_and_keep_their_area(fitted, toy):
    _, detector, _ = fitted
    found = anomaly.evaluate(detector, toy / "gear")
    assert found.pixel_roc.x.size <= 2001
    assert np.trapz(found.pixel_roc.y, found.pixel_roc.x) == pytest.approx(found.pixel_auc, abs=2e-3)


def test_samples_carry_their_own_truth(fitted, gear):
    _, detector, _ = fitted
    samples = [
        Sample(Path(f"{n}"), s.defect, None, read_image(s.path), read_mask(s.mask) if s.mask else None)
        for n, s in enumerate(gear.test)
    ]
    found, expected = anomaly.evaluate(detector, samples), anomaly.evaluate(detector, gear)
    assert (found.img_auc, found.pixel_auc, found.aupro) == (expected.img_auc, expected.pixel_auc, expected.aupro)


@pytest.mark.parametrize(
    "options,words",
    [
        ({"coreset_ratio": 5}, r"coreset_ratio: '5' is not allowed \(above 0, at most 1\)"),
        ({"backbone": "vgg"}, "backbone: 'vgg' is not one of resnet18"),
        ({"resize": "big"}, "resize"),
        ({"resize": 16, "crop": None}, "too small"),
        ({"coreset": 0.1}, "patchcore: unknown option coreset; there are dataset_path"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_done(options, words):
    import patchcore

    with pytest.raises(anomaly.UsageError, match=words):
        patchcore.fit(["nowhere.png"], **options)


@pytest.mark.parametrize(
    "photographs,words",
    [
        ([], "no photograph to train on"),
        ("nowhere", "nowhere: no such file or folder"),
        (np.zeros((4, 4, 3)), "of uint8"),
        (np.zeros((4, 4, 4), np.uint8), "H W 3"),
        (np.zeros((4, 0), np.uint8), "H W 3"),
        ("", "an empty path"),
        (b"photograph.png", "not bytes"),
        (np.zeros((0, 4, 4, 3), np.uint8), "H W 3"),
        (7, "not int"),
        ([3.5], "not float"),
    ],
)
def test_what_is_no_photograph_is_refused(photographs, words):
    import patchcore

    with pytest.raises(anomaly.DataError, match=words):
        patchcore.fit(photographs, **SIZE)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.onnx"])
def test_a_detector_that_is_not_there_is_said(tmp_path, name):
    with pytest.raises(anomaly.DataError, match="no such file or folder"):
        anomaly.load(tmp_path / name)


def test_options_are_those_of_the_command_line():
    import padim
    import patchcore

    config = patchcore.METHOD.config(resize=256, crop="none", category="a b", coreset_ratio="0.5")
    assert (config.resize, config.crop, config.category, config.coreset_ratio) == ((256, 256), None, ("a b",), 0.5)
    assert padim.METHOD.options(backbone="resnet18").embedding_dim == 100
    assert padim.METHOD.options(backbone="resnet50").embedding_dim == 550


def test_further_photographs_can_be_taken_in(arrays):
    import padim
    import patchcore

    whole = padim.fit(arrays, **SIZE, embedding_dim=20)
    part = padim.fit(arrays[:4], **SIZE, embedding_dim=20)
    for photographs in (arrays, arrays[4:]):
        more = padim.fit(photographs, start=part)
        assert more.gaussians.count == len(arrays)
        found, expected = (each.judge(arrays[0]).score for each in (more, whole))
        assert found == pytest.approx(expected, rel=2e-3)
    assert padim.fit(arrays, start=part).scales.image.threshold == pytest.approx(whole.scales.image.threshold, rel=5e-3)
    with pytest.raises(anomaly.DataError, match="nothing to add"):
        padim.fit(arrays, start=whole)
    with pytest.raises(anomaly.DataError, match="embedding_dim"):
        padim.fit(arrays, start=part, embedding_dim=30)
    with pytest.raises(anomaly.UsageError, match="leave start out"):
        patchcore.fit(arrays, start=part)


def test_a_network_of_another_method_or_name_is_refused(arrays, tmp_path):
    import padim
    import patchcore

    other = padim.fit(arrays, embedding_dim=20, **SIZE)
    with pytest.raises(anomaly.UsageError, match="leave network out"):
        patchcore.fit(arrays, network=other.backbone, **SIZE)
    with pytest.raises(anomaly.UsageError, match="wide_resnet50 needs"):
        padim.fit(arrays, network=other.backbone, **{**SIZE, "backbone": "wide_resnet50"})
    detector = patchcore.fit(arrays, **SIZE)
    detector.save(tmp_path / "gear")
    with pytest.raises(anomaly.UsageError, match="leave network out"):
        anomaly.load(tmp_path / "gear", network=other.backbone)


def test_a_state_may_be_renamed(fitted, arrays, tmp_path):
    _, detector, _ = fitted
    detector.save(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    again = anomaly.load(tmp_path / "after", device_target="CPU", network=detector.backbone)
    assert again.judge(arrays[0]).score == detector.judge(arrays[0]).score


def test_the_folder_of_a_data_set_is_not_taken_for_photographs(fitted, toy):
    name, detector, _ = fitted
    with pytest.raises(anomaly.DataError, match="holds categories; name one of them"):
        methods.get(name).fit(toy, **SIZE)
    with pytest.raises(anomaly.DataError, match="holds categories"):
        anomaly.evaluate(detector, toy)


@pytest.mark.parametrize("rate", [0, 1, 5, -1, float("nan"), "0.1"])
def test_a_rate_that_is_none_is_refused(fitted, rate):
    _, detector, _ = fitted
    with pytest.raises(anomaly.UsageError, match="false_alarm_rate"):
        detector.with_rate(rate)


def test_scores_that_are_not_finite_are_no_verdicts(fitted, arrays, monkeypatch):
    _, detector, _ = fitted
    real = type(detector).score

    def broken(self, images):
        maps, scores = real(self, images)
        return maps, scores * np.nan

    monkeypatch.setattr(type(detector), "score", broken)
    with pytest.raises(anomaly.DataError, match="no finite score"):
        detector.judge(arrays[0])


def test_a_state_that_is_replaced_while_it_is_read_is_called_that(arrays, tmp_path):
    import padim

    first, second = (padim.fit(arrays[:number], **SIZE, **OPTIONS["padim"]) for number in (5, 6))
    first.save(tmp_path / "a")
    found = state.read(tmp_path / "a")
    second.save(tmp_path / "a")
    with pytest.raises(anomaly.DataError, match="another training has just replaced"):
        found.array("gaussian/mean.npy")
    (tmp_path / "a" / "gaussian" / "mean.npy").write_bytes(b"cut")
    with pytest.raises(anomaly.DataError, match="missing or changed since training"):
        state.read(tmp_path / "a").array("gaussian/mean.npy")
