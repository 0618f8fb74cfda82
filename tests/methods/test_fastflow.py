"""FastFlow's training: honest, cached, interrupted and gone on with, spread over processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mindspore
import numpy as np
import pytest
from commands import CPU, RANDOM, run, write
from machines import together

import fastflow
from anomaly.data.samples import Sample
from anomaly.engines.frozen import IMAGE, Frozen
from anomaly.run import device
from anomaly.run.errors import DataError
from anomaly.run.job import Job
from fastflow import eval as fastflow_eval
from fastflow import train as fastflow_train
from fastflow.src.config import Config
from fastflow.src.dataset import chunks, collect
from fastflow.src.detector import split
from fastflow.src.history import FIELDS
from fastflow.src.schedule import learning_rate
from fastflow.src.training import at_once, batches

pytestmark = pytest.mark.usefixtures("one_scale")

ROOT = Path(__file__).resolve().parents[2]
ONE_SCALE = str(ROOT / "tests" / "tools" / "one_scale")
SMALL = ("--backbone", "resnet18", "--resize", "64", "--flow_step", "1", "--hidden_ratio", "0.25")
OPTIONS = (*SMALL, "--train_batch_size", "4", "--save_interval", "1", *RANDOM, *CPU)


def train(toy, output, *more):
    return run(
        fastflow_train.main, "--dataset_path", toy, "--category", "gear", "--output_dir", output, *OPTIONS, *more
    )


def weights(output) -> dict:
    path = output / "gear" / "fastflow_gear.ckpt"
    return {name: value.asnumpy() for name, value in mindspore.load_checkpoint(str(path)).items()}


def curve(output) -> list:
    """The loss of each epoch."""
    rows = (output / "gear" / "loss.csv").read_text().splitlines()[1:]
    return [float(row.split(",")[1]) for row in rows]


def assert_same(a: dict, b: dict):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.fixture(scope="module")
def six_epochs(toy, tmp_path_factory):
    output = tmp_path_factory.mktemp("six")
    result = train(toy, output, "--num_epochs", "6")
    assert result.code == 0, result.err
    return output


def test_a_split_is_seeded_and_complete():
    index, kept_out = split(30, 0.1, seed=1)
    assert len(kept_out) == 3 and sorted([*index, *kept_out]) == list(range(30))
    np.testing.assert_array_equal(kept_out, split(30, 0.1, seed=1)[1])
    assert [len(split(count, 0.1, seed=1)[1]) for count in (1, 2, 3, 10)] == [0, 0, 1, 1]
    assert len(split(30, 0.0, seed=1)[1]) == 0


def test_every_image_comes_once_an_epoch_in_an_order_of_its_own():
    index = np.arange(10, 21)
    found = list(batches(index, 4, seed=1, epoch=0))
    assert [len(part) for part in found] == [4, 4, 3] and sorted(np.concatenate(found)) == list(index)
    orders = [np.concatenate(list(batches(index, 4, seed=1, epoch=epoch))) for epoch in (0, 0, 1)]
    assert (orders[0] == orders[1]).all() and (orders[0] != orders[2]).any()


def test_parts_of_a_batch_have_one_shape():
    parts = list(chunks(np.arange(10, 21), 4))
    assert [count for _, count in parts] == [4, 4, 3] and all(len(part) == 4 for part, _ in parts)
    assert [i for part, count in parts for i in part[:count]] == list(range(10, 21))


def test_how_many_images_are_computed_at_once(monkeypatch):
    shares = (3, 8, 9, 10, 16, 25, 32, 64)
    assert [at_once(Config(), share) for share in shares] == [3, 4, 3, 5, 4, 5, 4, 4]
    assert [at_once(Config(micro_batch=16), share) for share in (3, 16, 25)] == [3, 16, 16]
    monkeypatch.setattr(device, "current", lambda: "Ascend")
    assert at_once(Config(), 25) == 25 and at_once(Config(micro_batch=4), 25) == 4


def test_schedules():
    plain = Config(num_epochs=10, schedule="constant", warmup_epochs=0, lr=1e-3)
    assert [learning_rate(plain, e) for e in (0, 5, 9.9)] == [1e-3] * 3
    cosine = Config(num_epochs=12, schedule="cosine", warmup_epochs=2, lr=1e-3)
    rates = [learning_rate(cosine, e) for e in (0, 1, 2, 7, 12)]
    assert rates[0] < rates[1] == pytest.approx(5e-4) and rates[2] == pytest.approx(1e-3)
    assert rates[3] == pytest.approx(5e-4) and rates[4] == pytest.approx(0, abs=1e-9)


def test_training_leaves_the_course_of_the_loss(six_epochs):
    lines = (six_epochs / "gear" / "loss.csv").read_text().splitlines()
    losses = curve(six_epochs)
    assert lines[0] == ",".join(FIELDS) and len(losses) == 6
    assert losses[-1] < losses[0]
    assert (six_epochs / "gear" / "loss.png").stat().st_size > 1000


def test_ctrl_c_saves_and_going_on_gives_the_same_weights(toy, tmp_path, six_epochs, monkeypatch):
    from fastflow.src import training

    real, done = training.Training._step, []

    def step(self, *arguments):
        done.append(1)
        if len(done) == 5:  # the first step of the third epoch
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "_step", step)
        stopped = train(toy, tmp_path, "--num_epochs", "6")
    assert stopped.code in (130, 143)  # MindSpore turns Ctrl-C into SIGTERM while it computes
    assert "stopped in epoch 3 after step 1" in stopped.out
    result = train(toy, tmp_path, "--num_epochs", "6", "--resume")
    assert result.code == 0 and "going on after epoch 2, step 1" in result.out
    assert_same(weights(tmp_path), weights(six_epochs))


def test_a_killed_process_goes_on(toy, tmp_path, six_epochs):
    command = [sys.executable, ROOT / "fastflow" / "train.py", "--dataset_path", toy, "--category", "gear"]
    command += ["--output_dir", tmp_path, *OPTIONS, "--num_epochs", "6"]
    environment = {**os.environ, "PYTHONPATH": ONE_SCALE}
    process = subprocess.Popen(
        [str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    end = time.monotonic() + 120
    while not (tmp_path / "gear" / "training.npz").is_file() and time.monotonic() < end:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert (tmp_path / "gear" / "training.npz").is_file()
    result = train(toy, tmp_path, "--num_epochs", "6", "--resume")
    assert result.code == 0 and re.search(r"going on after epoch [1-6], step [01]", result.out)
    for name, value in weights(tmp_path).items():  # of two processes, whose sums may be rounded in another order
        np.testing.assert_allclose(value, weights(six_epochs)[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_going_on_with_other_options_is_refused(toy, six_epochs):
    result = train(toy, six_epochs, "--num_epochs", "6", "--resume", "--lr", "0.5")
    assert result.code == 1 and "lr" in result.err and len(result.errors) == 1


def test_values_too_large_for_half_precision_are_kept_in_single(tmp_path):
    images = np.random.default_rng(0).integers(1, 256, (3, 32, 32, 3), np.uint8)
    samples = tuple(Sample(write(tmp_path / f"{i}.png", image)) for i, image in enumerate(images))

    def backbone(gain):
        return lambda batch: [batch.transpose(0, 3, 1, 2)[:, :2].astype(np.float32) * gain]

    config = Config(resize=(32, 32), batch_size=2)
    rgb = images[..., ::-1].transpose(0, 3, 1, 2)[:, :2].astype(np.float32)
    for gain, kind in ((1 / 3, np.float16), (1000, np.float32)):
        found = collect(config, samples, backbone=backbone(np.float32(gain)), shapes=((2, 32, 32),), job=Job())
        assert [array.dtype for array in found.layers] == [kind]
        (taken,) = found.arrays(np.array([2, 0]))
        assert taken.dtype == np.float32
        np.testing.assert_allclose(taken, rgb[[2, 0]] * np.float32(gain), rtol=2**-11)


def test_a_likelihood_that_does_not_improve_ends_training(tmp_path, six_epochs, toy):
    result = train(toy, tmp_path, "--num_epochs", "30", "--patience", "2", "--lr", "0.2")
    rows = [line.split(",") for line in (tmp_path / "gear" / "loss.csv").read_text().splitlines()[1:]]
    best = int(np.argmin([float(row[2]) for row in rows])) + 1
    assert len(rows) == best + 2 < 30 and f"best after epoch {best} (--patience)" in result.out
    again = train(toy, tmp_path, "--num_epochs", "30", "--patience", "2", "--lr", "0.2", "--resume")
    assert again.code == 0 and f"kept: epoch {best}, " in again.out and f"epoch {best + 3}" not in again.out


def test_features_in_a_file_are_those_in_memory(toy, tmp_path, six_epochs):
    assert train(toy, tmp_path, "--num_epochs", "6", "--feature_cache", "file").code == 0
    assert_same(weights(tmp_path), weights(six_epochs))
    assert not list((tmp_path / "gear").glob(".features*"))


def test_half_precision_of_kept_features_changes_nothing_of_note(toy, tmp_path, six_epochs):
    assert train(toy, tmp_path, "--num_epochs", "6", "--feature_cache", "off").code == 0
    np.testing.assert_allclose(curve(tmp_path), curve(six_epochs), rtol=3e-4)
    for name, value in weights(tmp_path).items():  # where a gradient is almost 0, Adam steps by its noise
        assert np.abs(value - weights(six_epochs)[name]).mean() < 1e-4, name


def test_parts_of_a_batch_train_as_the_whole_of_it(toy, tmp_path, six_epochs):
    assert train(toy, tmp_path, "--num_epochs", "6", "--micro_batch", "3", "--select", "last").code == 0
    np.testing.assert_allclose(curve(tmp_path), curve(six_epochs), rtol=1e-4)


def test_half_precision_stays_close_and_keeps_its_parameters_in_single(toy, tmp_path, six_epochs):
    assert train(toy, tmp_path, "--num_epochs", "6", "--amp_level", "O2").code == 0
    np.testing.assert_allclose(curve(tmp_path), curve(six_epochs), rtol=5e-3)
    assert curve(tmp_path) != curve(six_epochs)
    assert all(value.dtype == np.float32 for value in weights(tmp_path).values())


def test_the_last_epoch_can_be_kept_and_the_backbone_runs_for_the_first_only(toy, tmp_path, monkeypatch):
    calls, real = [], Frozen.__call__

    def counted(self, *arguments):
        if IMAGE in self.examples:
            calls.append(1)
        return real(self, *arguments)

    monkeypatch.setattr(Frozen, "__call__", counted)
    result = train(toy, tmp_path, "--num_epochs", "3", "--select", "last", "--pictures", "0")
    assert result.code == 0 and "kept: epoch 3, chosen by last" in result.out
    tested = len(list((toy / "gear" / "test").rglob("*.png")))
    assert len(calls) == 1 + -(-tested // Config().batch_size)  # all 6 to train on at once, then the evaluation


def test_choosing_on_test_images_is_named_in_every_table(toy, tmp_path):
    arguments = ("--num_epochs", "2", "--select", "test_pixel_auc")
    trained = train(toy, tmp_path, *arguments)
    assert trained.code == 0 and "TEST images" in trained.out
    assert "TEST images" in json.loads((tmp_path / "gear" / "results.json").read_text())["remark"]
    path = tmp_path / "gear" / "fastflow_gear.ckpt"
    result = run(fastflow_eval.main, "--dataset_path", toy, "--category", "gear", "--ckpt_path", path, *CPU)
    assert result.code == 0 and "TEST images" in result.out


def test_a_loss_that_is_not_finite_stops_with_the_step(toy, tmp_path):
    result = train(toy, tmp_path, "--num_epochs", "20", "--lr", "1e6")
    assert result.code == 1 and "epoch" in result.err and "step" in result.err and "--lr" in result.err
    assert not (tmp_path / "gear" / "state.json").exists()


@pytest.mark.parametrize("computing", ("native", "graphs"))
def test_two_processes_give_the_loss_of_one(toy, tmp_path, six_epochs, computing):
    own = {}
    if computing == "graphs":
        (tmp_path / "cache" / "anomaly").mkdir(parents=True)
        (tmp_path / "cache" / "anomaly").chmod(0o777)  # nothing is compiled where others may write
        own["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    options = (*SMALL, "--train_batch_size", "4", "--num_epochs", "6")
    folder = together("fastflow", toy, tmp_path / "out", options, PYTHONPATH=ONE_SCALE, **own)
    assert ("MindSpore's own operators train the flow" in (folder / "train.log").read_text()) == (computing == "graphs")
    np.testing.assert_allclose(curve(tmp_path / "out"), curve(six_epochs), rtol=1e-4)


LIBRARY = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "device_target": "CPU"}


@pytest.mark.parametrize("select", ["likelihood", "last"])
def test_a_training_that_went_astray_is_refused(toy, select):
    with pytest.raises(DataError, match="training went astray"):
        fastflow.fit(toy / "gear", **LIBRARY, lr=0.1, num_epochs=4, warmup_epochs=0, flow_step=4, select=select)


def test_it_is_trained_in_a_thread_too(toy):
    """Where no signal can be waited for."""
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(fastflow.fit, toy / "gear", **LIBRARY, num_epochs=1, flow_step=1).result()
    assert found.scales.known
