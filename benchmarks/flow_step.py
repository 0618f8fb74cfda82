"""Times one training step of ResNet18's FastFlow on MindSpore against the same equations in PyTorch.

    python benchmarks/flow_step.py [--batch 32] [--repeats 5]

A step is forward, backward and Adam for the flows of 256 x 256 images: 64 channels at 64 x 64, 128 at 32 x 32 and 256
at 16 x 16, 8 steps each with 3 x 3 convolutions, hidden ratio 1. The backbone is not part of it. Each framework has its
own process, because oneDNN inside of both reads the same environment variable and only MindSpore needs it (anomaly/
__init__.py); both have as many threads as there are cores, they take turns, and the other sleeps. Printed are the
medians in ms an image, their ratio, and what the single operations of MindSpore take; the convolutions are our own in
the step, where there is a compiler (fastflow/src/operators.py), and MindSpore's in the table.
"""

import argparse
import contextlib
import functools
import importlib
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "tests" / "tools")]

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

    from anomaly.run import device
    from fastflow.src import operators
    from fastflow.src.flows import Flows
    from fastflow.src.step import TrainStep, adam

    device.use("CPU")
    device.ready()  # graph mode: without it a thread of MindSpore's spins while the others compute
    flows = Flows(SHAPES, FLOW_STEPS)
    own = contextlib.ExitStack()
    own.enter_context(operators.own(flows))  # once, as in a training
    step = TrainStep(flows, adam(flows, LEARNING_RATE))
    inputs = ms.mutable(tuple(ms.Tensor(x) for x in features(batch)))
    weights = ms.Tensor(np.full(batch, 1 / batch, np.float32))

    def run(kept=own):  # as long as this is there the flow has them
        return step([(inputs, weights)])

    return run


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


def operations(batch: int, shape: tuple) -> list:
    """(name, how often in a flow's step, ms) of single operations on a batch of one layer, or half of its channels."""
    importlib.import_module("anomaly")

    import mindspore as ms
    import numpy as np
    from mindspore import ops
    from mindspore.ops.operations import _grad_ops as grad

    ms.set_context(mode=ms.PYNATIVE_MODE, pynative_synchronize=True)
    channels, height, width = shape
    half = channels // 2

    def tensor(*shape):
        return ms.Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))

    x, x1, c = tensor(batch, channels, height, width), tensor(batch, half, height, width), tensor(channels)
    mean, variance = ms.Tensor(np.zeros(channels, np.float32)), ms.Tensor(np.ones(channels, np.float32))
    order = ms.Tensor(np.random.default_rng(0).permutation(channels).astype(np.int32))
    affine, gather, concat, split = ops.BatchNorm(is_training=False), ops.Gather(), ops.Concat(1), ops.Split(1, 2)
    affine_grad = grad.BatchNormGrad(is_training=False)
    bias_add, bias_grad = ops.BiasAdd(), grad.BiasAddGrad()
    relu_grad, tanh_grad = grad.ReluGrad(), grad.TanhGrad()
    calls = []
    for name, outputs, y in (("first convolution", half, x1), ("second convolution", channels, x)):
        w = tensor(outputs, half, 3, 3)
        conv = ops.Conv2D(outputs, 3, pad_mode="same")
        to_input = ops.operations.Conv2DBackpropInput(outputs, 3, pad_mode="same")
        to_weight = grad.Conv2DBackpropFilter(outputs, 3, pad_mode="same")
        calls += [
            (name, 1, functools.partial(conv, x1, w)),
            ("  gradient to input", 1, functools.partial(to_input, y, w, x1.shape)),
            ("  gradient to weight", 1, functools.partial(to_weight, y, x1, w.shape)),
        ]
    calls += [
        ("scale and offset", 1, lambda: affine(x, c, c, mean, variance)),
        ("  gradient", 1, lambda: affine_grad(x, x, c, mean, variance, variance)),
        ("permutation", 2, lambda: gather(x, order, 1)),
        ("biases", 1.5, lambda: bias_add(x, c)),
        ("  gradient", 1.5, lambda: bias_grad(x)),
        ("concatenation", 3, lambda: concat((x1, x1))),
        ("split", 2, lambda: split(x)),
        ("ReLU of half", 1, lambda: ops.relu(x1)),
        ("  gradient", 1, lambda: relu_grad(x1, x1)),
        ("tanh of half", 1, lambda: ops.tanh(x1)),
        ("  gradient", 1, lambda: tanh_grad(x1, x1)),
        ("exp of half", 1, lambda: ops.exp(x1)),
        ("product of halves", 4, lambda: x1 * x1),
        ("half times a number", 2, lambda: x1 * 2.0),
        ("sum of halves", 4, lambda: x1 + x1),
    ]
    return [(name, times, 1e3 * statistics.median(timed(call) for _ in range(7))) for name, times, call in calls]


def table(batch: int):
    """ms an image, for all steps of a flow; what is not here is LayerNorm, loss, Adam and the graph's own handling."""
    columns = [operations(batch, shape) for shape in SHAPES]
    print(f"{'':24}" + "".join(f"{' x '.join(map(str, shape)):>16}" for shape in SHAPES) + f"{'together':>16}")
    sums = [0.0] * (len(SHAPES) + 1)
    for row in zip(*columns):
        values = [times * milliseconds * FLOW_STEPS / batch for _, times, milliseconds in row]
        values.append(sum(values))
        sums = [a + b for a, b in zip(sums, values)]
        print(f"{row[0][0]:24}" + "".join(f"{value:16.2f}" for value in values))
    print(f"{'sum':24}" + "".join(f"{value:16.2f}" for value in sums))


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
    print("\nMindSpore's operations by themselves, ms an image")
    table(options.batch)


if __name__ == "__main__":
    main()
