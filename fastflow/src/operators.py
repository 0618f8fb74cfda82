"""What a step of training computes on a CPU, by operators of our own (operators.cc) where there is a C++ compiler: the
convolutions, and all else between them.

They are compiled once for this processor, in seconds, and kept. Values are held against numpy before they are used,
gradients in the tests. Without a compiler, and on other devices, MindSpore's operators compute the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np
from mindspore import Tensor, ops

from anomaly.engines import compiled
from anomaly.run import device
from anomaly.run.errors import DataError, first_line
from anomaly.run.progress import log
from fastflow.src.coupling import Step
from fastflow.src.flows import Flows

SOURCE = Path(__file__).with_suffix(".cc")
CLOSE = 1e-4  # of the largest value


@contextmanager
def own(flows: Flows, *, in_float32: bool = True) -> Iterator[None]:
    """Inside the flow computes with them, where that is possible."""
    path = library() if in_float32 and device.current() == "CPU" else None
    steps: list[Any] = [cell for _, cell in flows.cells_and_names() if isinstance(cell, Step)] if path else []
    before = [(each.subnet.conv1, each.subnet.conv2) for each in steps]
    if path:
        ours = convolution(path), coupling(path)
        for each in steps:
            each.subnet.conv1, each.subnet.conv2, each.own = ours[0], *ours
    try:
        yield
    finally:
        for each, (first, second) in zip(steps, before):
            each.subnet.conv1, each.subnet.conv2, each.own = first, second, None


def library() -> Optional[Path]:
    """What was compiled; None where there is nothing, and why is in the log."""
    try:
        device.ready()
        path = compiled.library(SOURCE)
        require_right(path)
        return path
    except (*compiled.FAILURES, RuntimeError) as error:
        log.info("MindSpore's own operators train the flow, which takes longer (%s)", first_line(error))
        return None


def custom(place: str, shapes: Callable, *, bprop: Optional[Callable] = None, outputs: int = 1) -> Any:
    def types(first: Any, *_: Any) -> Any:
        return first if outputs == 1 else (first,) * outputs

    return ops.Custom(place, shapes, types, func_type="aot", bprop=bprop)


def convolution(path: Path) -> Callable:
    """B C H W, and weights -> as ops.Conv2D with pad_mode "same"."""
    to_input = custom(f"{path}:ToInput", lambda dy, w: (dy[0], w[1], dy[2], dy[3]))
    to_weights = custom(f"{path}:ToWeights", lambda dy, x, w: w)

    def bprop(x: Any, w: Any, out: Any, dout: Any) -> tuple:
        return to_input(dout, w), to_weights(dout, x, w)

    return custom(f"{path}:Forward", lambda x, w: (x[0], w[0], x[2], x[3]), bprop=bprop)


def coupling(path: Path) -> Callable:
    """x1, x2, what the subnet gives, scale, offset, the order of channels, clamp -> y1, y2, tanh, as coupling.Step."""
    back = custom(f"{path}:Uncouple", lambda x1, x2, a, scale, *_: (x1, x2, a, scale, scale), outputs=5)

    def bprop(x1: Any, x2: Any, a: Any, scale: Any, offset: Any, order: Any, clamp: Any, out: Any, dout: Any) -> tuple:
        found = back(x1, x2, a, scale, offset, order, clamp, out[2], dout[0], dout[1], dout[2])
        return found[0], found[1], found[2], found[3], found[4], ops.zeros_like(order), ops.zeros_like(clamp)

    return custom(f"{path}:Couple", lambda x1, x2, *_: (x1, x2, x2), bprop=bprop, outputs=3)


def require_right(path: Path) -> None:
    """A compiler may be wrong, and a file damaged."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    x, w = drawn(2, 3, 5, 18), drawn(5, 3, 3, 3)
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = [(i, j, wide[:, :, i : i + 5, j : j + 18]) for i in range(3) for j in range(3)]
    summed = sum(np.einsum("oc,bchw->bohw", w[:, :, i, j], part) for i, j, part in places)
    x1, x2, a, scale, offset = drawn(2, 4, 3, 7), drawn(2, 3, 3, 7), drawn(2, 6, 3, 7), drawn(7), drawn(7)
    order, tanh = rng.permutation(7).astype(np.int32), np.tanh(a[:, :3])
    y = np.concatenate([x1, x2 * np.exp(2 * tanh) + a[:, 3:]], axis=1)
    y = (y * scale.reshape(-1, 1, 1) + offset.reshape(-1, 1, 1))[:, order]
    asked = (Tensor(each) for each in (x1, x2, a, scale, offset, order, np.array([2], np.float32)))
    found = [convolution(path)(Tensor(x), Tensor(w)), *coupling(path)(*asked)]
    for ours, wanted in zip(found, (summed, y[:, :4], y[:, 4:], tanh)):
        if not np.abs(ours.asnumpy() - wanted).max() <= CLOSE * np.abs(wanted).max():
            raise DataError("what was compiled computes something else")
