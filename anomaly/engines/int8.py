"""The pretrained network in numbers of 8 bits: quantised on photographs, and put in its own place in every graph.

The network alone, since what follows it does not survive that: a search for the nearest, and the choice of a maximum.
NNCF finds the steps from what the activations are for these photographs. What comes out is a graph as ONNX, in which
each convolution has its input and its weights rounded; engines compute such convolutions in integers.
"""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
from mindspore import nn

from anomaly.engines.choice import NNCF, require
from anomaly.engines.open_vino import without_telemetry
from anomaly.networks.cells import Quantised
from anomaly.networks.registry import MARK

OPSET = 13  # of ONNX, in which weights have a step for each channel
PREFIX = "int8."  # of names in the quantised graph


def inside(cell: nn.Cell) -> bytes:
    """The graph of the quantised network in a Cell; nothing if there is none."""
    return next((part.graph for _, part in cell.cells_and_names() if isinstance(part, Quantised)), b"")


def graft(model: Any, network: bytes) -> Any:
    """A model of ONNX with the quantised graph in the place of the network that ends at the marks."""
    onnx: Any = importlib.import_module("onnx")
    new = onnx.compose.add_prefix(onnx.load_from_string(network), PREFIX, rename_inputs=False)
    model = onnx.version_converter.convert_version(model, OPSET)
    ends = [_behind(f"marks.{i}.{MARK}", model.graph.node) for i in range(len(new.graph.output))]
    names = dict(zip(ends, (output.name for output in new.graph.output)))
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    nodes, wanted = [], {output.name for output in model.graph.output}
    for node in reversed([*new.graph.node, *model.graph.node]):  # the old network is what nothing wants any more
        if wanted & set(node.output):
            wanted |= set(node.input)
            nodes.append(node)
    numbers = [number for number in (*new.graph.initializer, *model.graph.initializer) if number.name in wanted]
    known = model.graph
    graph = onnx.helper.make_graph(nodes[::-1], known.name, known.input, known.output, numbers)
    version = max(model.ir_version, new.ir_version)
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=version)


def _behind(mark: str, nodes: Any) -> str:
    """What the node gives that a parameter of this name goes into."""
    [output] = [node.output[0] for node in nodes if any(name.endswith(mark) for name in node.input)]
    return str(output)


def quantise(graph: bytes, images: np.ndarray) -> bytes:
    """The graph of a network with its convolutions in 8 bits, whose steps suit these images, B H W 3.

    What adds, pads or takes a mean stays as it is: rounding it too gains no time and takes from the accuracy.
    """
    onnx: Any = importlib.import_module("onnx")
    model = onnx.version_converter.convert_version(onnx.load_from_string(graph), OPSET)
    [name] = [each.name for each in model.graph.input]
    others = [node.name for node in model.graph.node if not _is_convolution(node)]
    with _quiet() as nncf:
        data = nncf.Dataset(list(images), lambda image: {name: image[None]})
        found = nncf.quantize(
            model,
            data,
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=others),
        )
    found.producer_name = found.producer_version = ""
    return bytes(found.SerializeToString(deterministic=True))


def _is_convolution(node: Any) -> bool:
    """Not of each channel by itself: EfficientNet's lose far more than others do, and a ResNet's padding is one."""
    return node.op_type == "Conv" and all(part.i == 1 for part in node.attribute if part.name == "group")


@contextmanager
def _quiet() -> Iterator[Any]:
    """NNCF without its lines and bars."""
    require(NNCF)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # which NNCF loads where it is installed
    nncf = without_telemetry(NNCF)
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield nncf
