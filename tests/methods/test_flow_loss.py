"""Loss, gradients and steps of training against PyTorch."""

import numpy as np
import pytest
import torch
import torch_flow
from mindspore import Tensor, mutable, value_and_grad
from test_coupling import drawn, randomised

from anomaly.engines import compiled
from anomaly.run.processes import ALONE
from fastflow.src import native
from fastflow.src.flows import Flows, LayerNorm
from fastflow.src.graphs import Graphs, adam, set_learning_rate
from fastflow.src.loss import Loss, likelihood

SHAPES = ((6, 6, 4), (7, 3, 2))


@pytest.fixture(params=("graphs", "native"))
def arithmetic(request):
    """What computes a training: MindSpore's graphs, or code of our own."""
    if request.param == "graphs":
        return Graphs
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    return native.of


def tensors(arrays) -> tuple:
    return mutable(tuple(Tensor(x) for x in arrays))  # or it compiles anew at every step


def doubles(arrays) -> list:
    return [torch.from_numpy(x).double() for x in arrays]


def equal(batch: int = 3) -> np.ndarray:
    """Weights with which the loss is a mean."""
    return np.full(batch, 1 / batch, np.float32)


def values(net) -> dict:
    return {parameter.name: parameter.asnumpy().copy() for parameter in net.get_parameters()}


def test_layer_norm_as_in_pytorch():
    shape = (5, 4, 3)
    norm = LayerNorm(shape)
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((2, *shape)).astype(np.float32)
    norm.weight.set_data(Tensor(weight))
    norm.bias.set_data(Tensor(bias))
    (x,) = drawn((shape,))
    expected = torch.nn.functional.layer_norm(
        torch.from_numpy(x), shape, torch.from_numpy(weight), torch.from_numpy(bias)
    )
    np.testing.assert_allclose(norm(Tensor(x)).asnumpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_loss_and_gradients_as_in_pytorch():
    flows = randomised(Flows(SHAPES, flow_step=3))
    twin = torch_flow.twin(flows, SHAPES)
    features = drawn(SHAPES)
    parameters = flows.trainable_params()
    weights = np.array((1, 0.5, 0), np.float32) / np.float32(1.5)
    value, gradients = value_and_grad(Loss(flows), None, parameters)(tensors(features), Tensor(weights))
    expected = torch_flow.loss(twin, doubles(features), torch.from_numpy(weights).double())
    expected.backward()
    assert value.asnumpy() == pytest.approx(expected.item(), rel=1e-5)
    others = dict(twin.named_parameters())
    assert len(parameters) == len(others)
    for parameter, gradient in zip(parameters, gradients):
        other = others[torch_flow.name_of(parameter.name)].grad.numpy().reshape(gradient.shape)
        atol = 1e-4 * np.abs(other).max()
        np.testing.assert_allclose(gradient.asnumpy(), other, rtol=1e-3, atol=atol, err_msg=parameter.name)


def test_five_steps_as_adam_of_pytorch(arithmetic):
    flows = randomised(Flows(SHAPES, flow_step=1))
    twin = torch_flow.twin(flows, SHAPES)
    step = arithmetic(flows).train_step(adam(flows, 1e-3), ALONE)
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3, weight_decay=1e-5)
    start = values(flows)
    for i in range(5):
        features = drawn(SHAPES, seed=i)
        loss = step([(features, equal())])
        optimizer.zero_grad()
        expected = torch_flow.loss(twin, doubles(features))
        expected.backward()
        optimizer.step()
        assert loss == pytest.approx(expected.item(), rel=1e-4)
    others = dict(twin.named_parameters())
    for name, value in values(flows).items():
        other = others[torch_flow.name_of(name)].detach().numpy().reshape(value.shape)
        assert np.abs(value - start[name]).max() > 1e-3, name
        np.testing.assert_allclose(value, other, rtol=1e-3, atol=1e-3, err_msg=name)
        assert np.abs(value - other).mean() < 2e-5, name  # where a gradient is almost 0, Adam steps by its noise


def test_likelihood_of_an_image_is_its_own():
    flows = randomised(Flows(SHAPES, flow_step=2))
    features = drawn(SHAPES)
    each = likelihood(*flows(tensors(features))).asnumpy()
    assert each.shape == (3,)
    for i in range(3):
        alone = likelihood(*flows(tensors(x[i : i + 1] for x in features))).asnumpy()
        assert alone[0] == pytest.approx(each[i], rel=1e-5)
    assert Loss(flows)(tensors(features), Tensor(equal())).asnumpy() == pytest.approx(each.mean(), rel=1e-5)


def trained(arithmetic, features: list, weights: np.ndarray, steps: int = 2) -> dict:
    flows = Flows(SHAPES[:1], flow_step=1, seed=3)
    step = arithmetic(flows).train_step(adam(flows, 1e-3), ALONE)
    for _ in range(steps):
        step([(features, weights)])
    return values(flows)


def test_fillers_of_a_batch_count_for_nothing(arithmetic):
    features = drawn(SHAPES[:1], batch=3)
    filled = [np.concatenate([x, 9 * x[:2]]) for x in features]
    real = trained(arithmetic, features, np.full(3, 1 / 3, np.float32))
    padded = trained(arithmetic, filled, np.array([1, 1, 1, 0, 0], np.float32) / 3)
    for name, value in real.items():
        np.testing.assert_allclose(padded[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_parts_of_a_batch_train_as_all_of_it_as_in_pytorch(arithmetic):
    flows = randomised(Flows(SHAPES, flow_step=1))
    twin = torch_flow.twin(flows, SHAPES)
    features, start = drawn(SHAPES, batch=5), values(flows)
    optimizer = adam(flows, 1e-3)
    parts = []
    for index, weights in (((0, 1), (1, 1)), ((2, 3), (1, 1)), ((4, 4), (1, 0))):  # the last one is filled up
        parts.append(([x[list(index)] for x in features], np.array(weights, np.float32) / 5))
    expected = torch_flow.loss(twin, doubles(features))
    expected.backward()
    assert arithmetic(flows).train_step(optimizer, ALONE)(parts) == pytest.approx(expected.item(), rel=1e-5)
    others = dict(twin.named_parameters())
    for parameter, first in zip(flows.trainable_params(), optimizer.moment1):  # a tenth of the gradient, after one step
        other = others[torch_flow.name_of(parameter.name)].grad.numpy().reshape(first.shape)
        other = (other + 1e-5 * start[parameter.name]) / 10
        np.testing.assert_allclose(first.asnumpy(), other, rtol=1e-3, atol=1e-4 * np.abs(other).max())


def test_training_twice_gives_the_same_bits(arithmetic):
    features = drawn(SHAPES[:1], batch=4)
    one, two = (trained(arithmetic, features, np.full(4, 1 / 4, np.float32), steps=3) for _ in range(2))
    for name, value in one.items():
        assert np.array_equal(value, two[name]), name


def test_the_learning_rate_may_be_set(arithmetic):
    features, weights = drawn(SHAPES[:1]), equal()
    flows = Flows(SHAPES[:1], flow_step=1)
    optimizer = adam(flows, 1e-3)
    step = arithmetic(flows).train_step(optimizer, ALONE)
    start = values(flows)
    step([(features, weights)])
    before = values(flows)
    assert max(np.abs(value - start[name]).max() for name, value in before.items()) == pytest.approx(1e-3, rel=0.01)
    set_learning_rate(optimizer, 0.0)
    step([(features, weights)])
    assert all(np.array_equal(value, before[name]) for name, value in values(flows).items())


@pytest.mark.parametrize("first, then", (("graphs", "native"), ("native", "graphs")))
def test_a_training_goes_on_where_the_other_left_it(first, then):
    """--resume on a machine with a compiler, or without one."""
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    made, features, found = {"graphs": Graphs, "native": native.of}, drawn(SHAPES[:1]), []
    for names in ((first, first), (first, then)):
        flows = Flows(SHAPES[:1], flow_step=1, seed=3)
        optimizer = adam(flows, 1e-3)
        for name in names:
            step = made[name](flows).train_step(optimizer, ALONE)
            step([(features, equal())])
            step([(features, equal())])
        found.append(values(flows))
    for name, value in found[0].items():
        np.testing.assert_allclose(value, found[1][name], rtol=1e-4, atol=1e-4, err_msg=name)
