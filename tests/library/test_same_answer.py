"""A photograph gets the same score and map whatever else is asked: how many at once, in which order, by how many."""

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from commands import predict
from shell import ROOT

from anomaly import methods
from anomaly.data.samples import images_below

pytestmark = pytest.mark.usefixtures("one_scale")
OPTIONS = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "device_target": "CPU"}
OWN = {
    "patchcore": {"coreset_ratio": 0.2},
    "padim": {"embedding_dim": 20},
    "fastflow": {"num_epochs": 1, "flow_step": 1, "hidden_ratio": 0.25},
}
# How far they may be apart, as a part of the largest: products of matrices of other sizes are summed in another order.
APART = {"patchcore": 0, "padim": 2e-6, "fastflow": 2e-6}


@pytest.mark.parametrize("method", OWN)
def test_it_does_not_depend_on_how_many_are_judged_at_once_nor_on_their_order(method, toy):
    detector = methods.get(method).fit(toy / "gear", **OPTIONS, **OWN[method])
    paths = images_below(toy / "gear" / "test")
    alone = {path: detector.judge(path) for path in paths}
    largest = max(np.abs(each.map).max() for each in alone.values())
    for size, workers, turned in ((2, 1, 1), (5, 2, -1), (len(paths), 2, 1)):
        other = replace(detector, config=replace(detector.config, batch_size=size, workers=workers))
        for path, found in zip(paths[::turned], other.judge(paths[::turned])):
            assert found.sample.path == path and found.verdict == alone[path].verdict
            assert abs(found.score - alone[path].score) <= APART[method] * abs(alone[path].score)
            assert np.abs(found.map - alone[path].map).max() <= APART[method] * largest


def test_it_does_not_depend_on_threads_language_or_place(trained, toy, tmp_path):
    folder = toy / "gear" / "test"
    arguments = ["--category", "gear", "--image_path", folder]
    output = shutil.copytree(trained[0] / "gear", tmp_path / "gear").parent
    done = predict(output, *arguments, "--save_csv", tmp_path / "here.csv")
    assert done.code == 0, done.err
    command = [sys.executable, ROOT / "patchcore" / "predict.py", "--output_dir", output, "--device_target", "CPU"]
    other = {**os.environ, "OMP_NUM_THREADS": "3", "LC_ALL": "C", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}
    words = [str(word) for word in (*command, *arguments, "--save_csv", tmp_path / "there.csv")]
    subprocess.run(words, check=True, cwd=tmp_path, env=other, stdout=subprocess.DEVNULL)
    here, there = (list(csv.DictReader((tmp_path / f"{name}.csv").open())) for name in ("here", "there"))
    assert [row["path"] for row in here] == [row["path"] for row in there] and len(here) == 12
    for mine, other_one in zip(here, there):
        assert mine["verdict"] == other_one["verdict"]
        assert float(mine["score"]) == pytest.approx(float(other_one["score"]), rel=2e-6)
