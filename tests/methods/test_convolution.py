"""FastFlow's own convolutions against PyTorch's, and what happens where they cannot be made."""

import logging

import mindspore
import numpy as np
import pytest
import torch
from mindspore import Tensor

from anomaly.engines import compiled, kept
from anomaly.run import device
from fastflow.src import convolution
from fastflow.src.flows import Flows
from fastflow.src.loss import Loss

SHAPES = [
    # images, channels in and out, height, width, kernel: whole vectors, parts of them, parts of blocks, one pixel
    (2, 32, 64, 16, 64, 3),
    (3, 32, 32, 28, 28, 3),
    (2, 3, 5, 7, 9, 3),
    (6, 16, 24, 16, 16, 3),
    (2, 5, 6, 14, 33, 1),
    (1, 7, 3, 1, 1, 3),
]


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    device.use("CPU")
    device.ready()
    return convolution.operators(compiled.library(convolution.SOURCE))


@pytest.mark.parametrize("images, inputs, outputs, height, width, kernel", SHAPES)
def test_values_and_gradients_are_those_of_pytorch(operator, images, inputs, outputs, height, width, kernel):
    rng = np.random.default_rng(0)
    x, w, dy = (
        rng.normal(size=shape).astype(np.float32)
        for shape in (
            (images, inputs, height, width),
            (outputs, inputs, kernel, kernel),
            (images, outputs, height, width),
        )
    )
    theirs = [torch.tensor(each, requires_grad=True) for each in (x, w)]
    wanted = torch.nn.functional.conv2d(*theirs, padding=kernel // 2)
    wanted.backward(torch.tensor(dy))

    def total(x, w, dy):
        return (operator(x, w) * dy).sum()

    run = mindspore.value_and_grad(total, grad_position=(0, 1))
    found = operator(Tensor(x), Tensor(w)).asnumpy()
    gradients = run(Tensor(x), Tensor(w), Tensor(dy))[1]
    for ours, other in zip(
        (found, *(each.asnumpy() for each in gradients)), (wanted.detach(), *(t.grad for t in theirs))
    ):
        assert np.abs(ours - other.numpy()).max() <= 1e-5 * np.abs(other.numpy()).max()


def gradients(flows: Flows, features: tuple) -> list:
    weights = Tensor(np.full(len(features[0]), 1 / len(features[0]), np.float32))
    run = mindspore.value_and_grad(Loss(flows), None, flows.trainable_params())
    loss, found = run(mindspore.mutable(features), weights)
    return [loss.asnumpy(), *(each.asnumpy() for each in found)]


def test_a_flow_has_the_same_gradients_with_them_and_gets_its_own_operators_back(operator):
    shapes = ((8, 16, 16), (12, 8, 8))
    flows = Flows(shapes, 2, conv3x3_only=False)
    features = tuple(Tensor(np.random.default_rng(0).normal(size=(3, *s)).astype(np.float32)) for s in shapes)
    before = [cell.conv1 for cell in flows.cells() if hasattr(cell, "conv1")]
    wanted = gradients(flows, features)
    with convolution.own(flows):
        found = gradients(flows, features)
    for ours, other in zip(found, wanted):
        assert np.allclose(ours, other, rtol=1e-3, atol=1e-5 * np.abs(other).max())
    assert before == [cell.conv1 for cell in flows.cells() if hasattr(cell, "conv1")]


def without_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    return "no C++ compiler"


def compiler_that_fails(monkeypatch, tmp_path):
    (tmp_path / "c++").write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 1\n")
    (tmp_path / "c++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return "no such flag"


def compiler_that_is_wrong(monkeypatch, tmp_path):
    source = tmp_path / "wrong.cc"
    source.write_text(convolution.SOURCE.read_text().replace("sum[o][v] += value", "sum[o][v] -= value"))
    monkeypatch.setattr(convolution, "SOURCE", source)
    return "computes something else"


def folder_of_all(monkeypatch, tmp_path):
    folder = tmp_path / "cache" / "anomaly"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return "somebody else may write to"


@pytest.mark.parametrize("how", [without_compiler, compiler_that_fails, compiler_that_is_wrong, folder_of_all])
def test_where_they_cannot_be_made_mindspores_own_are_used_and_one_line_says_so(
    operator, how, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    reason = how(monkeypatch, tmp_path)
    with caplog.at_level(logging.INFO):
        assert convolution.convolution() is None
    assert reason in caplog.text and len(caplog.text.strip().splitlines()) == 1
    assert how is compiler_that_is_wrong or not list(kept.folder().glob("*"))
