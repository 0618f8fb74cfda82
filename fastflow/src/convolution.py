"""The convolutions of training on a CPU, by operators of our own (convolution.cc) where there is a C++ compiler.

They are compiled once for this processor, in two seconds, and kept. Values are held against numpy before they are used,
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
from fastflow.src.coupling import Subnet
from fastflow.src.flows import Flows

SOURCE = Path(__file__).with_suffix(".cc")
CLOSE = 1e-4  # of the largest value


@contextmanager
def own(flows: Flows, *, in_float32: bool = True) -> Iterator[None]:
    """Inside the flow computes with them, where that is possible."""
    operator = convolution() if in_float32 and device.current() == "CPU" else None
    subnets = [cell for _, cell in flows.cells_and_names() if isinstance(cell, Subnet)] if operator else []
    before = [(each.conv1, each.conv2) for each in subnets]
    for each in subnets:
        each.conv1 = each.conv2 = operator
    try:
        yield
    finally:
        for each, (first, second) in zip(subnets, before):
            each.conv1, each.conv2 = first, second


def convolution() -> Optional[Callable]:
    """B C H W, and weights -> as ops.Conv2D with pad_mode "same"; None where there is none, and why is in the log."""
    try:
        device.ready()
        made = operators(compiled.library(SOURCE))
        require_right(made)
        return made
    except (*compiled.FAILURES, RuntimeError) as error:
        log.info("MindSpore's own convolutions train the flow, which takes longer (%s)", first_line(error))
        return None


def operators(path: Path) -> Any:
    def custom(name: str, shape: Callable, *, bprop: Optional[Callable] = None) -> Any:
        return ops.Custom(f"{path}:{name}", shape, lambda first, *rest: first, func_type="aot", bprop=bprop)

    to_input = custom("ToInput", lambda dy, w: (dy[0], w[1], dy[2], dy[3]))
    to_weights = custom("ToWeights", lambda dy, x, w: w)

    def bprop(x: Any, w: Any, out: Any, dout: Any) -> tuple:
        return to_input(dout, w), to_weights(dout, x, w)

    return custom("Forward", lambda x, w: (x[0], w[0], x[2], x[3]), bprop=bprop)


def require_right(operator: Callable) -> None:
    """A compiler may be wrong, and a file damaged."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 5, 18)).astype(np.float32), rng.normal(size=(5, 3, 3, 3)).astype(np.float32)
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = [(i, j, wide[:, :, i : i + 5, j : j + 18]) for i in range(3) for j in range(3)]
    wanted = sum(np.einsum("oc,bchw->bohw", w[:, :, i, j], part) for i, j, part in places)
    found = operator(Tensor(x), Tensor(w)).asnumpy()
    if not np.abs(found - wanted).max() <= CLOSE * np.abs(wanted).max():
        raise DataError("what was compiled computes something else")
