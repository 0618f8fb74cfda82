"""What the log says of how long training will take."""

import logging

import pytest

from fastflow.src import pace


def test_parts_after_the_first_tell_how_long_an_epoch_takes(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    caplog.set_level(logging.INFO, logger="anomaly")
    told = pace.Pace(190, 15)
    for seconds, images in ((100, 8), (2, 8), (2, 8), (0.5, 2), (9, 8), (9, 8)):  # the first one compiles
        told.part(images)
        now[0] += seconds
    # 18 images in 4.5 s
    assert caplog.messages == ["an epoch takes about 48 s; at most 15 of them, about 12 minutes"]


@pytest.mark.parametrize(
    "seconds,expected", [(0.62, "0.6 s"), (31.4, "31 s"), (119, "119 s"), (125, "2 minutes"), (7300, "2 hours")]
)
def test_durations(seconds, expected):
    assert pace.duration(seconds) == expected
