"""The flow against PyTorch, against its own inverse, and log|det J| against Jacobians."""

import numpy as np
import pytest
import torch
import torch_flow
from mindspore import Tensor

from fastflow.src.flows import Flows


def randomised(flows: Flows, noise: float = 0.3) -> Flows:
    """Moves every parameter away from where it starts, where scales, offsets and biases would hide mistakes."""
    rng = np.random.default_rng(0)
    for parameter in flows.get_parameters():
        moved = parameter.asnumpy() + noise * rng.standard_normal(parameter.shape)
        parameter.set_data(Tensor(moved.astype(np.float32)))
    return flows


def drawn(shapes: tuple, batch: int = 3, seed: int = 5) -> list:
    rng = np.random.default_rng(seed)
    return [(2 + 3 * rng.standard_normal((batch, *shape))).astype(np.float32) for shape in shapes]


CASES = {
    "three scales": (((6, 8, 8), (8, 4, 4), (10, 2, 2)), {}),
    "odd channels": (((7, 5, 3),), {}),
    "two channels": (((2, 4, 4),), {}),
    "3x3 and 1x1 in turn": (((6, 4, 4),), {"conv3x3_only": False}),
    "half as many hidden": (((9, 4, 4),), {"hidden_ratio": 0.5}),
    "clamp 1": (((4, 4, 4),), {"clamp": 1.0}),
}


@pytest.mark.parametrize("case", CASES)
def test_z_and_jacobian_as_in_pytorch(case):
    shapes, options = CASES[case]
    flows = randomised(Flows(shapes, flow_step=3, **options))
    settings = {key: value for key, value in options.items() if key != "conv3x3_only"}
    twin = torch_flow.twin(flows, shapes, **settings)
    features = drawn(shapes)
    zs, jacobians = flows(tuple(Tensor(x) for x in features))
    expected = twin([torch.from_numpy(x).double() for x in features])
    for z, jacobian, other_z, other_jacobian in zip(zs, jacobians, *expected):
        assert jacobian.shape == (3,)
        np.testing.assert_allclose(z.asnumpy(), other_z.detach().numpy(), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(jacobian.asnumpy(), other_jacobian.detach().numpy(), rtol=1e-4, atol=1e-3)


def test_kernels_in_turn_start_with_three():
    steps = Flows(((4, 4, 4),), flow_step=3, conv3x3_only=False).flows[0].steps
    assert [step.subnet.weight1.shape[2] for step in steps] == [3, 1, 3]
    assert [step.subnet.weight2.shape[3] for step in steps] == [3, 1, 3]


@pytest.mark.parametrize("channels", (6, 7))
def test_inverse(channels):
    flow = randomised(Flows(((channels, 5, 4),), flow_step=4), noise=0.1).flows[0]
    x = drawn(((channels, 5, 4),))[0] / 3
    z, _ = flow(Tensor(x))
    np.testing.assert_allclose(flow.inverse(z.asnumpy()), x, atol=1e-4)


def test_jacobian_of_the_twin():
    shape = (4, 2, 2)
    flows = randomised(Flows((shape,), flow_step=3))
    flow = torch_flow.twin(flows, (shape,)).flows[0]
    x = torch.from_numpy(drawn((shape,), batch=1)[0]).double()

    def flat(values):
        return flow(values.reshape(1, *shape))[0].reshape(-1)

    full = torch.autograd.functional.jacobian(flat, x.reshape(-1))
    expected = torch.linalg.slogdet(full).logabsdet.item()
    assert flow(x)[1].item() == pytest.approx(expected, abs=1e-8)
    assert flows.flows[0](Tensor(x.numpy().astype(np.float32)))[1].asnumpy()[0] == pytest.approx(expected, abs=1e-4)


def test_jacobian_by_differences():
    shape = (4, 2, 2)
    size = int(np.prod(shape))
    flow = randomised(Flows((shape,), flow_step=3)).flows[0]
    x = drawn((shape,), batch=1)[0].reshape(1, size)
    step = 1e-2
    moved = np.concatenate([x + step * np.eye(size), x - step * np.eye(size)]).astype(np.float32)
    z = flow(Tensor(moved.reshape(-1, *shape)))[0].asnumpy().reshape(2, size, size).astype(np.float64)
    _, expected = np.linalg.slogdet((z[0] - z[1]) / (2 * step))
    assert flow(Tensor(x.reshape(1, *shape)))[1].asnumpy()[0] == pytest.approx(expected, abs=0.02)


def test_scale_is_one_at_the_start():
    flow = Flows(((4, 2, 2),), flow_step=1).flows[0]
    step = flow.steps[0]
    for parameter in step.subnet.get_parameters():
        parameter.set_data(Tensor(np.zeros(parameter.shape, np.float32)))
    (x,) = drawn(((4, 2, 2),))
    z, jacobian = flow(Tensor(x))
    np.testing.assert_allclose(z.asnumpy(), x[:, step.order], rtol=1e-6)
    np.testing.assert_allclose(jacobian.asnumpy(), 0, atol=1e-5)


def test_seed_decides_weights():
    shapes = ((6, 4, 4), (8, 2, 2))
    one, two, other = (Flows(shapes, flow_step=2, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(one.get_parameters(), two.get_parameters()):
        assert np.array_equal(a.asnumpy(), b.asnumpy())
    orders = [[step.order.tolist() for flow in flows.flows for step in flow.steps] for flows in (one, two, other)]
    assert orders[0] == orders[1] != orders[2]
    weight = one.flows[0].steps[0].subnet.weight1.asnumpy()
    assert not np.array_equal(weight, other.flows[0].steps[0].subnet.weight1.asnumpy())
    assert 0.8 / np.sqrt(27) < np.abs(weight).max() <= 1 / np.sqrt(27)


def test_one_channel_is_refused():
    with pytest.raises(ValueError, match="two channels"):
        Flows(((1, 4, 4),))
