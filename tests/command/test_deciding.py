"""The photographs that decide the threshold are drawn as the detector saw them when they were left out themselves."""

import pytest

from anomaly import methods
from anomaly.commands import deciding
from anomaly.data.samples import Category, samples

SIZE = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "device_target": "CPU"}
KINDS = {
    "patchcore": ("patchcore", {"coreset_ratio": 0.2}),
    "patchcore in pieces": ("patchcore", {"coreset_ratio": 0.2, "resize": 256, "tile": 48}),
    "padim": ("padim", {"embedding_dim": 20}),
    "padim on changed copies": ("padim", {"embedding_dim": 20, "augment": "flips", "augment_copies": 2}),
    "several networks": ("patchcore", {"coreset_ratio": 0.2, "backbone": "resnet18,resnet34"}),
}


@pytest.fixture(scope="module")
def paths(toy) -> list:
    return sorted((toy / "gear" / "train" / "good").iterdir())


def assert_they_are_left_out(detector, train: list):
    peaks = dict(zip(detector.calibration.names, detector.calibration.peaks))
    found = list(deciding.judgements(detector, Category("gear", samples(train), ())))
    assert len(found) == deciding.rates.MOST
    for each in found:
        assert each.sample.defect == "train"
        if not detector.config.tile and "," not in detector.config.backbone:  # these joined maps have other peaks
            assert each.map.max() == pytest.approx(peaks[each.sample.path.name], rel=1e-4)
    return [each.map.max() for each in found]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_else_is_there_now_and_in_whatever_order(paths, kind):
    method, options = KINDS[kind]
    detector = methods.get(method).fit(paths[2:], **{**SIZE, **options})
    usual = assert_they_are_left_out(detector, paths[2:])
    assert assert_they_are_left_out(detector, paths) == usual
    assert assert_they_are_left_out(detector, paths[::-1]) == usual


@pytest.mark.parametrize("kind", ["patchcore", "padim"])
def test_after_photographs_were_added_whose_names_come_first(paths, kind):
    method, options = KINDS[kind]
    first = methods.get(method).fit(paths[2:], **SIZE, **options)
    more = methods.get(method).fit(paths, start=first)
    assert_they_are_left_out(more, paths)


def test_nothing_is_drawn_where_the_photographs_are_others(paths):
    detector = methods.get("padim").fit(paths[2:], **SIZE, embedding_dim=20)
    assert list(deciding.judgements(detector, Category("gear", samples(paths[:3]), ()))) == []
