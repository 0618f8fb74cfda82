"""Times one training step of ResNet18's FastFlow on MindSpore against the same equations in PyTorch.

    python benchmarks/flow_step.py [--batch 32] [--repeats 5]

A step is forward, backward and Adam for the flows of 256 x 256 images: 64 channels at 64 x 64, 128 at 32 x 32 and 256
at 16 x 16, 8 steps each with 3 x 3 convolutions, hidden ratio 1. The backbone is not part of it. Each framework has its
own process, because oneDNN inside of both reads the same environment variable and only MindSpore needs it (anomaly/
__init__.py); both have as many threads as there are cores, they take turns, and the other sleeps. Printed are the
medians in ms an image, their ratio, and what single operations of MindSpore take on a batch of the first layer.
"""

import argparse
import importlib
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "tests")]

SHAPES = ((64, 64, 64), (128, 32, 32), (256, 16, 16))
FLOW_STEPS = 8
LEARNING_RATE = 1e-3


def features(batch: int) -> list:
    import numpy as np

    rng = np.random.default_rng(0)
    return [rng.standard_normal((batch, *shape)).astype(np.float32) for shape in SHAPES]


def mindspore_step(batch: int):
    importlib.import_module("anomaly")  # before mindspore, and not where PyTorch is

    import mindspore as ms
    import numpy as np

    from fastflow.src.model import Flows
    from fastflow.src.step import TrainStep, adam

    flows = Flows(SHAPES, FLOW_STEPS)
    step = TrainStep(flows, adam(flows, LEARNING_RATE))
    inputs = ms.mutable(tuple(ms.Tensor(x) for x in features(batch)))
    weights = ms.Tensor(np.full(batch, 1 / batch, np.float32))
    return lambda: float(step(inputs, weights).asnumpy())


def torch_step(batch: int):
    import torch
    import torch_flow

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    flows = torch_flow.drawn(SHAPES, FLOW_STEPS)
    optimizer = torch.optim.Adam(flows.parameters(), lr=LEARNING_RATE, weight_decay=1e-5)
    inputs = [torch.from_numpy(x) for x in features(batch)]

    def step():
        optimizer.zero_grad()
        loss = torch_flow.loss(flows, inputs)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def operations(batch: int):
    """(name, ms) of single operations on a batch of the first layer, or of half of its channels."""
    importlib.import_module("anomaly")

    import mindspore as ms
    import numpy as np
    from mindspore import ops
    from mindspore.ops.operations import _grad_ops

    ms.set_context(mode=ms.PYNATIVE_MODE, pynative_synchronize=True)
    channels, height, width = SHAPES[0]
    half = channels // 2

    def tensor(*shape):
        return ms.Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))

    x, x1, a = tensor(batch, channels, height, width), tensor(batch, half, height, width), tensor(channels)
    w1, w2, w = tensor(half, half, 3, 3), tensor(channels, half, 3, 3), tensor(channels, channels, 1, 1)
    flat, ones = x1.reshape(batch, -1), ms.Tensor(np.ones((half * height * width, 1), np.float32))
    conv1, conv2 = ops.Conv2D(half, 3, pad_mode="same"), ops.Conv2D(channels, 3, pad_mode="same")
    mix = ops.Conv2D(channels, 1, pad_mode="valid")
    to_input, to_mixed = (
        ops.operations.Conv2DBackpropInput(half, 3, pad_mode="same"),
        ops.operations.Conv2DBackpropInput(channels, 1, pad_mode="valid"),
    )
    to_input2 = ops.operations.Conv2DBackpropInput(channels, 3, pad_mode="same")
    to_weight = _grad_ops.Conv2DBackpropFilter(half, 3, pad_mode="same")
    to_weight2 = _grad_ops.Conv2DBackpropFilter(channels, 3, pad_mode="same")
    to_mix = _grad_ops.Conv2DBackpropFilter(channels, 1, pad_mode="valid")
    bias_add, bias_grad, relu_grad = ops.BiasAdd(), _grad_ops.BiasAddGrad(), _grad_ops.ReluGrad()
    tanh_grad, concat = _grad_ops.TanhGrad(), ops.Concat(1)
    calls = [
        ("first convolution", lambda: conv1(x1, w1)),
        ("  gradient to input", lambda: to_input(x1, w1, x1.shape)),
        ("  gradient to weight", lambda: to_weight(x1, x1, w1.shape)),
        ("second convolution", lambda: conv2(x1, w2)),
        ("  gradient to input", lambda: to_input2(x, w2, x1.shape)),
        ("  gradient to weight", lambda: to_weight2(x, x1, w2.shape)),
        ("scale and permutation", lambda: mix(x, w)),
        ("  gradient to input", lambda: to_mixed(x, w, x.shape)),
        ("  gradient to weight", lambda: to_mix(x, x, w.shape)),
        ("bias", lambda: bias_add(x, a)),
        ("  gradient", lambda: bias_grad(x)),
        ("concatenation", lambda: concat((x1, x1))),
        ("slice of half", lambda: x[:, :half]),
        ("ReLU of half", lambda: ops.relu(x1)),
        ("  gradient", lambda: relu_grad(x1, x1)),
        ("tanh of half", lambda: ops.tanh(x1)),
        ("  gradient", lambda: tanh_grad(x1, x1)),
        ("exp of half", lambda: ops.exp(x1)),
        ("product of halves", lambda: x1 * x1),
        ("sum of halves", lambda: x1 + x1),
        ("half times a number", lambda: x1 * 2.0),
        ("sum over half", lambda: ops.matmul(flat, ones)),
    ]
    return [(name, 1e3 * statistics.median(timed(call) for _ in range(7))) for name, call in calls]


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def serve(make, batch: int, pipe):
    """In a process of its own: makes the step, then times it whenever asked."""
    step = make(batch)
    for _ in range(2):
        step()
    pipe.send(None)
    while pipe.recv():
        pipe.send(timed(step))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    pipes, times = {}, {"MindSpore": [], "PyTorch": []}
    for name, make in (("MindSpore", mindspore_step), ("PyTorch", torch_step)):
        pipes[name], end = spawn.Pipe()
        spawn.Process(target=serve, args=(make, options.batch, end), daemon=True).start()
        pipes[name].recv()
    for _ in range(options.repeats):
        for name, pipe in pipes.items():
            pipe.send(True)
            times[name].append(1e3 * pipe.recv() / options.batch)
    for pipe in pipes.values():
        pipe.send(False)
    for name, values in times.items():
        print(f"{name:10} {statistics.median(values):7.1f} ms an image   (lowest {min(values):.1f})")
    ratios = [a / b for a, b in zip(times["MindSpore"], times["PyTorch"])]
    print(
        f"ratio      {statistics.median(ratios):7.2f}               (of the lowest "
        f"{min(times['MindSpore']) / min(times['PyTorch']):.2f})"
    )
    print(f"\nMindSpore's operations on {options.batch} x {' x '.join(map(str, SHAPES[0]))}, ms a batch")
    for name, value in operations(options.batch):
        print(f"{name:24}{value:8.1f}")


if __name__ == "__main__":
    main()
