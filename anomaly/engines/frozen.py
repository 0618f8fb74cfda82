"""A network that learns nothing more, on the engine that was chosen: arrays in, arrays out.

It is compiled when it is first used; as a graph for another engine it is kept, so that the next start finds it.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, Optional

import numpy as np

from anomaly.engines import kept, onnx_runtime, open_vino
from anomaly.engines.choice import MINDSPORE, OPENVINO, Runtime
from anomaly.networks.registry import Backbone
from anomaly.run import device
from anomaly.run.errors import DataError
from anomaly.run.progress import log

IMAGE = "image"


class Frozen:
    """`cell`: takes tensors, as `examples` has them by their names, and gives one tensor or several: `outputs`."""

    def __init__(self, cell: Any, examples: dict, *, outputs: tuple, runtime: Runtime) -> None:
        self.cell, self.examples, self.outputs, self.runtime = cell, examples, outputs, runtime
        self._run: Optional[Callable] = None
        self._lock = threading.Lock()

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        if self._run is None:
            with self._lock:
                self._run = self._run or self._compiled()
        return self._run(*arrays)

    def _compiled(self) -> Callable:
        if self.runtime.engine == MINDSPORE:
            return self._in_mindspore
        name = type(self.cell).__name__
        try:
            graph = self.graph()
            if self.runtime.engine == OPENVINO:
                return open_vino.open(graph, self.outputs, name=name, precision=self.runtime.precision)[0]
            return onnx_runtime.open(graph, self.outputs, name=name, target="CPU")[0]
        except DataError as error:
            log.info("%s: MindSpore runs it", error)
            return self._in_mindspore

    def graph(self) -> bytes:
        from anomaly.engines import onnx_file  # which loads MindSpore

        key = onnx_file.key(self.cell, self.examples, outputs=self.outputs)
        graph = kept.read(key)
        if graph is None:
            graph = onnx_file.content(self.cell, self.examples, outputs=self.outputs)
            kept.write(key, graph)
        return graph

    def _in_mindspore(self, *arrays: np.ndarray) -> list[np.ndarray]:
        from mindspore import Tensor

        with device.LOCK:
            found = self.cell(*(Tensor(array) for array in arrays))
            return [each.asnumpy() for each in (found if isinstance(found, tuple) else (found,))]


@functools.lru_cache(maxsize=1)
def layers(backbone: Backbone, size: tuple, *, runtime: Runtime) -> Frozen:
    """The network alone: B H W 3 -> B C h w of each layer. The same for every category: it is compiled once."""
    return Frozen(backbone.net(size), photographs(size), outputs=backbone.layers, runtime=runtime)


def photographs(size: tuple) -> dict:
    """What goes into a network that looks at pictures of (height, width)."""
    return {IMAGE: np.zeros((1, *size, 3), np.uint8)}
