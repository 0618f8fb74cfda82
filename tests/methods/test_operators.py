"""FastFlow's own operators against PyTorch's, and what happens where they cannot be made."""

import logging

import compilers
import mindspore
import numpy as np
import pytest
import torch
from mindspore import Tensor

from anomaly.engines import compiled, kept
from anomaly.run import device
from fastflow.src import operators
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
def library():
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    device.use("CPU")
    device.ready()
    return compiled.library(operators.SOURCE)


@pytest.mark.parametrize("images, inputs, outputs, height, width, kernel", SHAPES)
def test_convolutions_and_their_gradients_are_those_of_pytorch(library, images, inputs, outputs, height, width, kernel):
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

    check(operators.convolution(library), [x, w], [dy], wanted=[wanted], theirs=theirs)


def check(operator, inputs, seeds, *, wanted, theirs, constants=()):
    """Its values, and the gradients to its inputs of the sum of what it gives times `seeds`."""

    def total(*arrays):
        found = operator(*arrays, *fixed)
        return sum((one * seed).sum() for one, seed in zip(found if len(seeds) > 1 else (found,), weights))

    fixed, weights = [Tensor(each) for each in constants], [Tensor(each) for each in seeds]
    arrays = [Tensor(each) for each in inputs]
    found = operator(*arrays, *fixed)
    gradients = mindspore.value_and_grad(total, grad_position=tuple(range(len(inputs))))(*arrays)[1]
    ours = [*(found if len(seeds) > 1 else (found,)), *gradients]
    for one, other in zip(ours, [*wanted, *(each.grad for each in theirs)], strict=True):
        other = other.detach().numpy()
        assert np.abs(one.asnumpy() - other).max() <= 1e-5 * np.abs(other).max()


@pytest.mark.parametrize("first, second, side, scale", [(32, 32, 16, 1), (3, 2, 7, 0.01), (4, 4, 1, 30), (5, 4, 5, 5)])
def test_couplings_and_their_gradients_are_those_of_pytorch(library, first, second, side, scale):
    rng, channels = np.random.default_rng(0), first + second
    shapes = [(3, first, side, side), (3, second, side, side), (3, 2 * second, side, side), channels, channels]
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    inputs[2][:, :second] *= scale  # what tanh is taken of
    order, clamp = rng.permutation(channels), 1.9
    theirs = [torch.tensor(each, requires_grad=True) for each in inputs]
    x1, x2, a, scales, offset = theirs
    tanh = torch.tanh(a[:, :second])
    x = torch.cat([x1, x2 * torch.exp(clamp * tanh) + a[:, second:]], dim=1)
    y = (x * scales[:, None, None] + offset[:, None, None])[:, order]
    wanted = [y[:, :first], y[:, first:], tanh]
    seeds = [rng.normal(size=tuple(each.shape)).astype(np.float32) for each in wanted]
    sum((one * torch.tensor(seed)).sum() for one, seed in zip(wanted, seeds)).backward()
    constants = order.astype(np.int32), np.array([clamp], np.float32)
    check(operators.coupling(library), inputs, seeds, wanted=wanted, theirs=theirs, constants=constants)


def gradients(flows: Flows, features: tuple) -> list:
    weights = Tensor(np.full(len(features[0]), 1 / len(features[0]), np.float32))
    run = mindspore.value_and_grad(Loss(flows), None, flows.trainable_params())
    loss, found = run(mindspore.mutable(features), weights)
    return [loss.asnumpy(), *(each.asnumpy() for each in found)]


def test_a_flow_has_the_same_gradients_with_them_and_gets_its_own_operators_back(library):
    shapes = ((8, 16, 16), (12, 8, 8))
    flows = Flows(shapes, 2, conv3x3_only=False)
    features = tuple(Tensor(np.random.default_rng(0).normal(size=(3, *s)).astype(np.float32)) for s in shapes)
    before = [(step.subnet.conv1, step.own) for flow in flows.flows for step in flow.steps]
    wanted = gradients(flows, features)
    with operators.own(flows):
        found = gradients(flows, features)
        used = [step.own for flow in flows.flows for step in flow.steps]
    assert len(before) == 4 and all(used)
    for ours, other in zip(found, wanted):
        assert np.allclose(ours, other, rtol=1e-3, atol=1e-5 * np.abs(other).max())
    assert before == [(step.subnet.conv1, step.own) for flow in flows.flows for step in flow.steps]


def wrong(before: str, after: str):
    return compilers.wrong(operators, before, after, reason="computes something else")


def folder_of_all(monkeypatch, tmp_path):
    folder = tmp_path / "cache" / "anomaly"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return "somebody else may write to"


@pytest.mark.parametrize(
    "how",
    [
        compilers.without_compiler,
        compilers.compiler_that_fails,
        folder_of_all,
        wrong("sum[o][v] += value", "sum[o][v] -= value"),
        wrong("out[0] = in[0] * scale + offset", "out[0] = in[0] * scale - offset"),
        wrong("out[1] = Tanh(in[1]);", "out[1] = in[1];"),
    ],
)
def test_where_they_cannot_be_made_mindspores_own_are_used_and_one_line_says_so(
    library, how, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    reason = how(monkeypatch, tmp_path)
    with caplog.at_level(logging.INFO):
        assert operators.library() is None
    assert reason in caplog.text and len(caplog.text.strip().splitlines()) == 1
    assert "computes" in reason or not list(kept.folder().glob("*"))
