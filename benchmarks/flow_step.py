"""Times one training step of ResNet18's FastFlow, in C++ of our own and as graphs of MindSpore, against PyTorch.

    python benchmarks/flow_step.py [--batch 6] [--repeats 5]

A step is forward, backward and Adam for the flows of 256 x 256 images: 64 channels at 64 x 64, 128 at 32 x 32 and 256
at 16 x 16, 8 steps each with 3 x 3 convolutions, hidden ratio 1. The backbone is not part of it. Each has its own
process, because oneDNN inside of both frameworks reads the same environment variable and only MindSpore needs it
(anomaly/__init__.py); all have as many threads as there are cores, they take turns, and the others sleep. Printed are
what it takes until the first step is done, and the medians in ms an image with their ratios to PyTorch's.
"""

import argparse
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


def mindspore_step(batch: int, *, own: bool):
    importlib.import_module("anomaly")  # before mindspore, and not where PyTorch is

    import numpy as np

    from anomaly.run import device
    from anomaly.run.processes import ALONE
    from fastflow.src import native
    from fastflow.src.flows import Flows
    from fastflow.src.graphs import Graphs, adam

    device.use("CPU")
    device.ready()  # graph mode: without it a thread of MindSpore's spins while the others compute
    flows = Flows(SHAPES, FLOW_STEPS)
    computing = native.of(flows) if own else Graphs(flows)
    if computing is None:
        sys.exit("a C++ compiler is needed")
    step = computing.train_step(adam(flows, LEARNING_RATE), ALONE)
    part = features(batch), np.full(batch, 1 / batch, np.float32)
    return lambda: step([part])


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


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def serve(make, batch: int, pipe):
    """In a process of its own: makes the step, then times it whenever asked."""
    start = time.perf_counter()
    step = make(batch)
    step()
    pipe.send(time.perf_counter() - start)
    step()
    while pipe.recv():
        pipe.send(timed(step))


MAKERS = {
    "C++": functools.partial(mindspore_step, own=True),
    "MindSpore": functools.partial(mindspore_step, own=False),
    "PyTorch": torch_step,
}


def answer(name: str, pipe) -> float:
    try:
        return pipe.recv()
    except EOFError:
        sys.exit(f"error: {name} has ended; see above")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if min(options.batch, options.repeats) < 1:
        parser.error("--batch and --repeats are 1 or more")
    spawn = multiprocessing.get_context("spawn")
    pipes, first, times = {}, {}, {name: [] for name in MAKERS}
    for name, make in MAKERS.items():
        pipes[name], end = spawn.Pipe()
        spawn.Process(target=serve, args=(make, options.batch, end), daemon=True).start()
        end.close()  # so that it is noticed where the process ends too early
        first[name] = answer(name, pipes[name])
    for _ in range(options.repeats):
        for name, pipe in pipes.items():
            pipe.send(True)
            times[name].append(1e3 * answer(name, pipe) / options.batch)
    for pipe in pipes.values():
        pipe.send(False)
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, times["PyTorch"]))
        print(
            f"{name:10} {first[name]:6.1f} s to the first step, then {statistics.median(values):6.1f} ms an image "
            f"(lowest {min(values):.1f}), {ratio:.2f} of PyTorch's"
        )


if __name__ == "__main__":
    main()
