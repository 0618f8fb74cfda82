"""MindSpore, for its own format."""

from collections.abc import Callable
from pathlib import Path

import mindspore

from anomaly.run import device
from anomaly.run.errors import DataError, first_line


def open(path: Path, target: str = "", *, device_id: int = 0) -> tuple[Callable, str]:
    where = device.use(target, device_id)
    try:
        net = mindspore.nn.GraphCell(mindspore.load(str(path)))
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{path}: not a MINDIR file ({first_line(error)})") from None
    return lambda images: [output.asnumpy() for output in net(mindspore.Tensor(images))[:2]], where
