"""What the log says of how long training will take."""

import logging

import pytest

from fastflow.src import pace


@pytest.mark.parametrize(
    "batches",
    [
        [(100, 32), (6, 24), (9, 32)],  # seconds and images; the first one compiles
        [(100, 8), (0.9, 8), (1.1, 0), (9, 8), (9, 8)],  # one of less than a second does not tell enough
        [(100, 0), (1, 0), (1, 8), (9, 8)],  # of several processes one may have none of the first images
    ],
)
def test_batches_after_the_first_tell_how_long_an_epoch_takes(monkeypatch, caplog, batches):
    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    caplog.set_level(logging.INFO, logger="anomaly")
    told = pace.Pace(192, 15)
    for seconds, images in batches:
        told.batch(images)
        now[0] += seconds
    # 24 images in 6 s, or 8 in 2 s
    assert caplog.messages == ["an epoch takes about 48 s; at most 15 of them, about 12 minutes"]


@pytest.mark.parametrize(
    "seconds,expected", [(0.62, "0.6 s"), (31.4, "31 s"), (119, "119 s"), (125, "2 minutes"), (7300, "2 hours")]
)
def test_durations(seconds, expected):
    assert pace.duration(seconds) == expected
