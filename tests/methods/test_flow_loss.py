"""Loss, gradients and steps of training against PyTorch."""

import numpy as np
import pytest
import torch
import torch_flow
from mindspore import Tensor, mutable, value_and_grad
from test_coupling import drawn, randomised

from fastflow.src.flows import Flows, LayerNorm
from fastflow.src.loss import Loss, likelihood
from fastflow.src.step import TrainStep, adam, set_learning_rate

SHAPES = ((6, 6, 4), (7, 3, 2))


def tensors(arrays) -> tuple:
    return mutable(tuple(Tensor(x) for x in arrays))  # or it compiles anew at every step


def doubles(arrays) -> list:
    return [torch.from_numpy(x).double() for x in arrays]


def equal(batch: int = 3) -> Tensor:
    """Weights with which the loss is a mean."""
    return Tensor(np.full(batch, 1 / batch, np.float32))


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


@pytest.mark.parametrize("weights", ((1, 1, 1), (1, 0.5, 0)))
def test_loss_and_gradients_as_in_pytorch(weights):
    flows = randomised(Flows(SHAPES, flow_step=3))
    twin = torch_flow.twin(flows, SHAPES)
    features = drawn(SHAPES)
    parameters = flows.trainable_params()
    weights = np.array(weights, np.float32) / np.float32(sum(weights))
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


def test_five_steps_as_adam_of_pytorch():
    flows = randomised(Flows(SHAPES, flow_step=1))
    twin = torch_flow.twin(flows, SHAPES)
    step = TrainStep(flows, adam(flows, 1e-3))
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3, weight_decay=1e-5)
    start = values(flows)
    for i in range(5):
        features = drawn(SHAPES, seed=i)
        loss = step([(tensors(features), equal())])
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
    assert Loss(flows)(tensors(features), equal()).asnumpy() == pytest.approx(each.mean(), rel=1e-5)


def trained(features: list, weights: np.ndarray, steps: int = 2) -> dict:
    flows = Flows(SHAPES[:1], flow_step=1, seed=3)
    step = TrainStep(flows, adam(flows, 1e-3))
    for _ in range(steps):
        step([(tensors(features), Tensor(weights))])
    return values(flows)


def test_fillers_of_a_batch_count_for_nothing():
    features = drawn(SHAPES[:1], batch=3)
    filled = [np.concatenate([x, 9 * x[:2]]) for x in features]
    real = trained(features, np.full(3, 1 / 3, np.float32))
    padded = trained(filled, np.array([1, 1, 1, 0, 0], np.float32) / 3)
    for name, value in real.items():
        np.testing.assert_allclose(padded[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_parts_of_a_batch_give_the_gradients_of_all_of_it_as_in_pytorch():
    flows = randomised(Flows(SHAPES, flow_step=1))
    twin = torch_flow.twin(flows, SHAPES)
    features = drawn(SHAPES, batch=5)
    step = TrainStep(flows, adam(flows, 1e-3))
    parts = []
    for index, weights in (((0, 1), (1, 1)), ((2, 3), (1, 1)), ((4, 4), (1, 0))):  # the last one is filled up
        parts.append((tensors(x[list(index)] for x in features), Tensor(np.array(weights, np.float32) / 5)))
    expected = torch_flow.loss(twin, doubles(features))
    expected.backward()
    assert sum(float(step.gradients(*part).asnumpy()) for part in parts) == pytest.approx(expected.item(), rel=1e-5)
    others = dict(twin.named_parameters())
    for parameter, total in zip(flows.trainable_params(), step.gradients.sums):
        other = others[torch_flow.name_of(parameter.name)].grad.numpy().reshape(total.shape)
        atol = 1e-4 * np.abs(other).max()
        np.testing.assert_allclose(total.asnumpy(), other, rtol=1e-3, atol=atol, err_msg=parameter.name)
    step.update()
    assert all((total.asnumpy() == 0).all() for total in step.gradients.sums)


def test_training_twice_gives_the_same_bits():
    features = drawn(SHAPES[:1], batch=4)
    one, two = (trained(features, np.full(4, 1 / 4, np.float32), steps=3) for _ in range(2))
    for name, value in one.items():
        assert np.array_equal(value, two[name]), name


def test_learning_rate_may_be_set_or_be_a_schedule():
    features, weights = tensors(drawn(SHAPES[:1])), equal()
    flows = Flows(SHAPES[:1], flow_step=1)
    optimizer = adam(flows, 1e-3)
    step = TrainStep(flows, optimizer)
    step([(features, weights)])
    before = values(flows)
    set_learning_rate(optimizer, 0.0)
    step([(features, weights)])
    assert all(np.array_equal(value, before[name]) for name, value in values(flows).items())

    flows = Flows(SHAPES[:1], flow_step=1)
    step = TrainStep(flows, adam(flows, [1e-3, 0.0]))
    step([(features, weights)])
    first = values(flows)
    assert all(np.allclose(value, before[name], atol=1e-7) for name, value in first.items())
    step([(features, weights)])
    assert all(np.array_equal(value, first[name]) for name, value in values(flows).items())
