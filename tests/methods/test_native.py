"""FastFlow's arithmetic in C++ of our own against PyTorch's, and what happens where it cannot be made."""

import logging

import compilers
import numpy as np
import pytest
import torch
import torch_flow
from test_coupling import CASES, drawn, randomised

from anomaly.engines import compiled, kept
from anomaly.run import device
from fastflow.src import native
from fastflow.src.flows import Flows

ALL = {  # whole vectors and tiles, parts of them, one pixel, more rows than are looked at together
    **CASES,
    "wide": (((64, 16, 64),), {}),
    "28 pixels": (((64, 28, 28),), {"hidden_ratio": 0.3}),
    "33 pixels": (((11, 14, 33),), {"conv3x3_only": False}),
    "one pixel": (((10, 1, 1),), {}),
    "many channels": (((200, 4, 4),), {}),
}


@pytest.fixture(scope="module")
def library():
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    device.use("CPU")
    device.ready()
    native.library.cache_clear()
    return native.library()


@pytest.mark.parametrize("case", ALL)
def test_likelihood_and_gradients_are_those_of_pytorch(library, case):
    shapes, options = ALL[case]
    flows = randomised(Flows(shapes, flow_step=3, **options), noise=0.1)
    settings = {key: value for key, value in options.items() if key != "conv3x3_only"}
    twin = torch_flow.twin(flows, shapes, **settings)
    features, weights = drawn(shapes, batch=5), np.array([0.1, 0.4, 0.2, 0.3, 0], np.float32)
    inputs = [torch.from_numpy(x).double() for x in features]
    computing = native.Native(flows, library)
    computing.flat[:] = 1  # gradients are added to what is there
    loss = computing.gradients(features, weights)
    wanted = torch_flow.loss(twin, inputs, torch.from_numpy(weights).double())
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), rel=1e-5)
    others = dict(twin.named_parameters())
    for parameter, found in zip(computing.parameters, computing.sums, strict=True):
        other = others[torch_flow.name_of(parameter.name)].grad.numpy().reshape(-1)
        assert np.abs(found - 1 - other).max() <= 2e-5 * max(1, np.abs(other).max()), parameter.name
    for i, likelihood in enumerate(computing.likelihood(features)):
        alone = torch_flow.loss(twin, [x[i : i + 1] for x in inputs])
        assert likelihood == pytest.approx(alone.item(), rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("size", (1e-4, 20, 1e4))
def test_couplings_of_any_size(library, size):
    """Where tanh is a line, where it has come to its end, and far beyond."""
    flows = randomised(Flows(((6, 4, 4),), flow_step=1), noise=0.1)
    subnet = flows.flows[0].steps[0].subnet
    subnet.bias2.asnumpy()[:] = size * np.linspace(-1, 1, subnet.bias2.size)
    twin, features = torch_flow.twin(flows, ((6, 4, 4),)), drawn(((6, 4, 4),))
    computing = native.Native(flows, library)
    loss = computing.gradients(features, np.full(3, 1 / 3, np.float32))
    wanted = torch_flow.loss(twin, [torch.from_numpy(x).double() for x in features])
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), rel=1e-5)
    others = dict(twin.named_parameters())
    for parameter, found in zip(computing.parameters, computing.sums, strict=True):
        other = others[torch_flow.name_of(parameter.name)].grad.numpy().reshape(-1)
        assert np.abs(found - other).max() <= 1e-4 * np.abs(other).max(), parameter.name


def test_what_is_no_number_stays_none(library):
    flows, features = Flows(((6, 4, 4),), flow_step=1), drawn(((6, 4, 4),))
    features[0][1, 2, 3, 0] = np.nan
    found = native.Native(flows, library).likelihood(features)
    assert np.isnan(found[1]) and np.isfinite(found[[0, 2]]).all()
    flows.flows[0].steps[0].subnet.weight1.asnumpy()[0, 0, 1, 1] = np.nan
    assert np.isnan(native.Native(flows, library).likelihood(drawn(((6, 4, 4),)))).all()


def test_parameters_are_where_they_were_whatever_was_done_with_them(library):
    """It works in their memory, which checkpoints are read into and graphs compute with."""
    from mindspore import Tensor

    shapes = ((6, 4, 4),)
    flows, features = randomised(Flows(shapes, flow_step=1), noise=0.1), drawn(shapes)
    computing = native.Native(flows, library)
    for number in (1.0, 1.5):
        flows.norms[0].bias.set_data(Tensor(np.full(shapes[0], number, np.float32)))
        flows.norms[0].weight.asnumpy()[:] *= number
        zs, _ = flows(tuple(Tensor(x) for x in features))
        first = computing.likelihood(features)
        flows.flows[0].steps[0].scale.asnumpy()[:] += 50  # z, and all that is left out of the likelihood
        again, _ = flows(tuple(Tensor(x) for x in features))
        assert np.abs(zs[0].asnumpy() - again[0].asnumpy()).max() > 1
        assert np.abs(computing.likelihood(features) - first).min() > 1


def wrong(before: str, after: str):
    return compilers.wrong(native, before, after, reason="computes something else")


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
        wrong("Put(inside + (image", "if (o) Put(inside + (image"),
        wrong("out[0] = in[0] * scale + offset", "out[0] = in[0] * scale - offset"),
        wrong("out[1] = Tanh(in[1]);", "out[1] = in[1];"),
        wrong("out[1] = (out[0] * in[0] + to_tanh)", "out[1] = (out[0] * in[0] - to_tanh)"),
        wrong("+= factor * value;", "+= value;"),
        wrong("sum[i][x][v] += value[v] * other;", "sum[i][x][v] += value[v];"),
        wrong("ToBias(inner, flow, flow.hidden, 1,", "ToBias(inner, flow, flow.hidden, 0,"),
        wrong("out[2] = in[2] + (gradient", "out[2] = in[2] + in[3] + (gradient"),
    ],
)
def test_where_they_cannot_be_made_mindspores_own_are_used_and_one_line_says_so(
    library, how, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    reason = how(monkeypatch, tmp_path)
    native.library.cache_clear()
    with caplog.at_level(logging.INFO):
        assert native.library() is None
    assert reason in caplog.text and len(caplog.text.strip().splitlines()) == 1
    native.library.cache_clear()
    assert "computes" in reason or not list(kept.folder().glob("*"))
