"""A network that learns nothing more, on the engine that was chosen: arrays in, arrays out.

It is compiled when it is first used; as a graph for another engine it is kept, so that the next start finds it.
"""

import functools
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, Optional

import numpy as np

from anomaly.engines import kept, onnx_runtime, open_vino
from anomaly.engines.choice import INT8, MINDSPORE, OPENVINO, Runtime
from anomaly.networks.registry import Backbone
from anomaly.run import device
from anomaly.run.errors import DataError
from anomaly.run.progress import log

IMAGE = "image"


class Frozen:
    """`make`: gives an nn.Cell that takes tensors, as `examples` has them by their names, and gives one tensor or
    several: `outputs`. `identity`: what the numbers in the Cell follow from, as far as that can be said without it."""

    def __init__(
        self, make: Callable, examples: dict, *, outputs: tuple, runtime: Runtime, identity: tuple = ()
    ) -> None:
        self.make, self.examples, self.outputs, self.runtime, self.identity = make, examples, outputs, runtime, identity
        self._run: Optional[Callable] = None
        self._lock = threading.Lock()

    @cached_property
    def cell(self) -> Any:
        """This loads MindSpore, which an engine with a graph that was kept does without."""
        device.ready()
        return self.make()

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        if self._run is None:
            with self._lock:
                self._run = self._run or self._compiled()
        return self._run(*arrays)

    def _compiled(self) -> Callable:
        if self.runtime.engine == MINDSPORE:
            return self._in_mindspore
        name = self.outputs[0]
        try:
            return opened(self.graph(), self.outputs, name=name, runtime=self.runtime)
        except DataError as error:
            if self.runtime.precision == INT8:
                raise  # MindSpore has the network in float32
            log.info("%s: MindSpore runs it", error)
            return self._in_mindspore

    def graph(self) -> bytes:
        key = kept.key(self.examples, self.outputs, make=self.make, numbers=self.identity or self._numbers())
        graph = kept.read(key)
        if graph is None:
            from anomaly.engines import onnx_file  # which loads MindSpore

            graph = onnx_file.content(self.cell, self.examples, outputs=self.outputs)
            kept.write(key, graph)
        return graph

    def _numbers(self) -> tuple:
        from anomaly.engines import onnx_file

        return onnx_file.digest(self.cell)

    def _in_mindspore(self, *arrays: np.ndarray) -> list[np.ndarray]:
        from mindspore import Tensor

        with device.LOCK:
            found = self.cell(*(Tensor(array) for array in arrays))
            return [each.asnumpy() for each in (found if isinstance(found, tuple) else (found,))]


def opened(graph: bytes, outputs: tuple, *, name: str, runtime: Runtime) -> Callable:
    """A function that computes a graph: arrays in, arrays out."""
    if runtime.engine == OPENVINO:
        return open_vino.open(graph, outputs, name=name, precision=runtime.precision)[0]
    return onnx_runtime.open(graph, outputs, name=name, target=runtime.target)[0]


@functools.lru_cache(maxsize=1)
def layers(backbone: Backbone, size: tuple, *, runtime: Runtime) -> Frozen:
    """The network alone: B H W 3 -> B C h w of each layer. The same for every category: it is compiled once."""
    make = functools.partial(backbone.net, size)
    return Frozen(make, photographs(size), outputs=backbone.layers, runtime=runtime, identity=backbone.identity)


def photographs(size: tuple) -> dict:
    """What goes into a network that looks at pictures of (height, width)."""
    return {IMAGE: np.zeros((1, *size, 3), np.uint8)}
