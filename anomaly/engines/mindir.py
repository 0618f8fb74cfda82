"""MindSpore, for its own format."""

from collections.abc import Callable
from pathlib import Path

import mindspore
import numpy as np

from anomaly.run import device
from anomaly.run.errors import DataError, first_line


def open(path: Path, outputs: tuple, *, name: str, target: str = "", device_id: int = 0) -> tuple[Callable, str]:
    """As in onnx_runtime.py, but that outputs go by their order."""
    where = device.use(target, device_id)
    device.ready()
    try:
        net = mindspore.nn.GraphCell(mindspore.load(str(path)))
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{name}: not a MINDIR file ({first_line(error)})") from None

    def run(images: np.ndarray) -> list:
        with device.LOCK:
            try:
                found = net(mindspore.Tensor(images))
            except (RuntimeError, ValueError, TypeError) as error:
                reason = f"{first_line(error)}; what convert_lite.sh makes is for the C++ program"
                raise DataError(f"{name}: MindSpore cannot run it ({reason})") from None
            return [output.asnumpy() for output in found[: len(outputs)]]

    return run, where
