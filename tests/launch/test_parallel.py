"""Two processes on one training of PatchCore or PaDiM leave what one leaves; FastFlow's test is in test_fastflow.py."""

import contextlib
import importlib
import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from commands import CPU, RANDOM, run, state_of
from machines import Machines, launched, possible, together
from shell import alive, until
from threads_as_ranks import played

from anomaly import methods
from anomaly.data.samples import samples
from anomaly.run.job import Job
from anomaly.run.processes import ALONE, Ranks
from padim.src.gaussian import Gaussians
from patchcore.src.config import Config
from patchcore.src.memory_bank import MemoryBank

SIZE = ("--backbone", "resnet18", "--resize", "64", "--crop", "none")
ONE = ("--category", "gear", *RANDOM, *CPU)


def train(method, processes, toy, output, *options) -> Path:
    if processes > 1:
        return together(method, toy, output, (*SIZE, *options))
    module = importlib.import_module(f"{method}.train")
    done = run(module.main, "--dataset_path", toy, "--output_dir", output, *ONE, *SIZE, *options)
    assert done.code == 0, done.out[-500:] + done.err[-1000:]
    return output / "gear"


def record(folder: Path) -> dict:
    return json.loads((folder / "state.json").read_text())


def figures(folder: Path) -> list:
    results = json.loads((folder / "results.json").read_text())
    return [results[key] for key in ("img_auc", "pixel_auc", "aupro", "threshold")]


@pytest.fixture(scope="module")
def five(toy, tmp_path_factory) -> Path:
    """Five images to train on, so that two processes do not have equally many."""
    folder = tmp_path_factory.mktemp("five")
    shutil.copytree(toy / "gear", folder / "gear")
    min((folder / "gear" / "train" / "good").iterdir()).unlink()
    return folder


def test_patchcore_picks_the_same_coreset(five, tmp_path):
    one = train("patchcore", 1, five, tmp_path / "one", "--coreset_ratio", "0.2")
    two = train("patchcore", 2, five, tmp_path / "two", "--coreset_ratio", "0.2")
    first, second = MemoryBank.load(state_of(one), Config()), MemoryBank.load(state_of(two), Config())
    np.testing.assert_array_equal(first.image_of_row, second.image_of_row)
    np.testing.assert_allclose(first.vectors, second.vectors, rtol=1e-5)
    np.testing.assert_allclose(record(two)["good_scores"], record(one)["good_scores"], rtol=1e-5)
    assert figures(two) == pytest.approx(figures(one), rel=1e-5)


def test_padim_has_the_same_gaussians(five, tmp_path):
    one = train("padim", 1, five, tmp_path / "one", "--embedding_dim", 20)
    two = train("padim", 2, five, tmp_path / "two", "--embedding_dim", 20)
    first, second = Gaussians.load(state_of(one), 5), Gaussians.load(state_of(two), 5)
    assert first.low_rank
    same_gaussians(first, second)
    np.testing.assert_allclose(record(two)["good_scores"], record(one)["good_scores"], rtol=1e-4)
    assert figures(two) == pytest.approx(figures(one), rel=1e-4)


def same_gaussians(first, second):
    scale = np.abs(first.mean).max()
    np.testing.assert_allclose(second.mean, first.mean, rtol=1e-5, atol=1e-6 * scale)
    np.testing.assert_allclose(second.eigenvalues, first.eigenvalues, rtol=1e-5, atol=1e-5 * first.eigenvalues.max())
    forms = [gaussians.factor.transpose(0, 2, 1) @ gaussians.factor for gaussians in (first, second)]  # sign-free
    np.testing.assert_allclose(forms[1], forms[0], atol=1e-5 * np.abs(forms[0]).max())


def fitted(method, folder, *, ranks, **options):
    chosen = {"backbone": "resnet18", "pre_ckpt_path": "random", "resize": 64, "crop": "none", **options}
    found = methods.get(method)
    config = found.options(device_target="CPU", **chosen)
    photographs = samples(sorted((folder / "gear" / "train" / "good").iterdir()))
    return found.fitted(config, photographs, job=Job(ranks=ranks), backbone=found.backbone(config))


@pytest.mark.parametrize("size", [2, 3])
def test_padim_has_the_same_gaussians_of_many_photographs(five, monkeypatch, size):
    """Of so many that they are not kept one by one; by threads."""
    one = fitted("padim", five, ranks=ALONE, embedding_dim=3)
    several = played(monkeypatch, size, lambda ranks: fitted("padim", five, ranks=ranks, embedding_dim=3))
    assert not one.gaussians.low_rank
    same_gaussians(one.gaussians, several[0].gaussians)
    np.testing.assert_allclose(several[0].calibration.scores, one.calibration.scores, rtol=1e-4)


def test_patchcore_says_where_the_coreset_is_an_approximation(five, monkeypatch):
    options = {"coreset_ratio": 0.05, "gather_limit": 1e-6}
    first, second = played(monkeypatch, 2, lambda ranks: fitted("patchcore", five, ranks=ranks, **options))
    assert len(first.bank.vectors) == int(0.05 * 5 * 8 * 8) and "approximation" in first.remark
    np.testing.assert_array_equal(first.bank.vectors, second.bank.vectors)


def test_a_process_that_dies_ends_the_others_and_they_name_it(five, tmp_path):
    """The second one, on another machine where that is possible, in the middle of the training."""
    outputs = [tmp_path / "first", tmp_path / "second"]
    with Machines() if possible() else contextlib.nullcontext() as machines:
        soon = {"MS_NODE_TIMEOUT": 15}  # seconds after which msrun misses a process; usually 30
        started = launched(machines, "padim", five, outputs, (*SIZE, "--embedding_dim", "20"), **soon)
        log = outputs[1 if machines else 0] / "gear" / ".train.1.log"
        until(log.is_file, seconds=120)
        [process] = {pid for pid in of_training(five) if b"\0RANK_ID=1\0" in Path(f"/proc/{pid}/environ").read_bytes()}
        os.kill(process, signal.SIGKILL)
        said = [each.communicate(timeout=60)[0] for each in started]
    assert all(each.returncode not in (0, None) for each in started)
    assert re.search(r"error: process 1 of 2, on \S+, has ended, so this one ends too", said[0]), said[0]
    until(lambda: not any(map(alive, of_training(five))))


def of_training(data: Path) -> list:
    """Processes that were told of these photographs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (place / "cmdline").read_bytes()
            if str(data).encode() in words and b"train.py" in words:
                found.append(int(place.name))
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_are_neighbours_and_cover_everything(size):
    items = list(range(5))
    shares = [Ranks(rank, size).share(items) for rank in range(size)]
    assert [item for share, _ in shares for item in share] == items
    assert [before for _, before in shares] == [sum(len(s) for s, _ in shares[:rank]) for rank in range(size)]
