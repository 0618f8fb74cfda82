"""The flows in plain PyTorch, from the equations in fastflow/src/coupling.py, to compare with."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Step(nn.Module):
    def __init__(self, channels: int, hidden_ratio: float, kernel: int, clamp: float, order: np.ndarray):
        super().__init__()
        self.first = channels - channels // 2
        self.second = channels // 2
        self.clamp = clamp
        hidden = int(self.first * hidden_ratio)
        self.subnet = nn.Sequential(
            nn.Conv2d(self.first, hidden, kernel, padding="same"),
            nn.ReLU(),
            nn.Conv2d(hidden, 2 * self.second, kernel, padding="same"),
        )
        self.scale = nn.Parameter(torch.full((1, channels, 1, 1), 2 * float(np.log(np.exp(5) - 1))))
        self.offset = nn.Parameter(torch.zeros(1, channels, 1, 1))
        matrix = torch.zeros(channels, channels, 1, 1)
        matrix[torch.arange(channels), torch.from_numpy(order)] = 1
        self.register_buffer("permutation", matrix)

    def forward(self, x):
        x1, x2 = torch.split(x, (self.first, self.second), dim=1)
        a = 0.1 * self.subnet(x1)
        s = self.clamp * torch.tanh(a[:, : self.second])
        x = torch.cat((x1, x2 * torch.exp(s) + a[:, self.second :]), dim=1)
        scale = 0.1 * functional.softplus(self.scale, beta=0.5)
        y = functional.conv2d(x * scale + self.offset, self.permutation)  # as FrEIA permutes
        return y, s.sum((1, 2, 3)) + x.shape[2] * x.shape[3] * torch.log(scale).sum()


class Flow(nn.Module):
    def __init__(self, steps: list):
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, x):
        total = 0
        for step in self.steps:
            x, jacobian = step(x)
            total = total + jacobian
        return x, total


class Flows(nn.Module):
    """`settings`: for each scale a list of (channels, hidden ratio, kernel, clamp, order), one for each step."""

    def __init__(self, shapes: tuple, settings: list):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(shape) for shape in shapes])
        self.flows = nn.ModuleList([Flow([Step(*step) for step in steps]) for steps in settings])

    def forward(self, features):
        pairs = [flow(norm(x)) for norm, flow, x in zip(self.norms, self.flows, features)]
        return tuple(z for z, _ in pairs), tuple(jacobian for _, jacobian in pairs)


def drawn(shapes: tuple, flow_step: int) -> Flows:
    """Without a counterpart in MindSpore, 3 x 3 only, for measuring time."""
    rng = np.random.default_rng(0)
    return Flows(shapes, [[(c, 1.0, 3, 2.0, rng.permutation(c)) for _ in range(flow_step)] for c, _, _ in shapes])


def twin(flows, shapes: tuple, hidden_ratio: float = 1.0, clamp: float = 2.0) -> Flows:
    """The same shapes, permutations and weights as a MindSpore `Flows`, in double precision: a difference is its."""
    settings = [
        [(shape[0], hidden_ratio, step.subnet.weight1.shape[2], clamp, step.order) for step in flow.steps]
        for shape, flow in zip(shapes, flows.flows)
    ]
    other = Flows(shapes, settings).double()
    copy(flows, other)
    return other


def loss(flows: Flows, features, weights=None):
    zs, jacobians = flows(features)
    each = sum(0.5 * (z**2).sum((1, 2, 3)) - jacobian for z, jacobian in zip(zs, jacobians)) / len(zs)
    return each.mean() if weights is None else (each * weights).sum() / weights.sum()


NAMES = {  # of MindSpore's parameters -> of PyTorch's
    "subnet.weight1": "subnet.0.weight",
    "subnet.bias1": "subnet.0.bias",
    "subnet.weight2": "subnet.2.weight",
    "subnet.bias2": "subnet.2.bias",
}


def name_of(mindspore_name: str) -> str:
    for name, other in NAMES.items():
        mindspore_name = mindspore_name.replace(name, other)
    return mindspore_name


def copy(source, target: Flows):
    """Puts the weights of the MindSpore flows into the PyTorch ones."""
    parameters = dict(target.named_parameters())
    for parameter in source.get_parameters():
        other = parameters.pop(name_of(parameter.name))
        with torch.no_grad():
            other.copy_(torch.from_numpy(parameter.asnumpy().copy()).reshape(other.shape))
    assert not parameters, f"without a counterpart: {sorted(parameters)}"
