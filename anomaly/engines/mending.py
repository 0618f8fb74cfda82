"""What MindSpore's exporter writes otherwise than ONNX has it, or not at all, put right in the graph."""

from typing import Any

from anomaly.networks.registry import MARK

STAND_IN = "Softsign"  # a function that no network here has, in the place of the error function


def mend(graph: Any) -> None:
    padding(graph.node)
    error_function(graph.node)
    slices(graph)
    boundaries(graph.node)


def padding(nodes: Any) -> None:
    """MindSpore's order is above, below, left, right, and its exporter leaves it so; ONNX puts left second."""
    for node in nodes:
        for attribute in node.attribute:
            if node.op_type == "Conv" and attribute.name == "pads":
                above, below, left, right = attribute.ints
                attribute.ints[:] = [above, left, below, right]


def error_function(nodes: Any) -> None:
    for node in nodes:
        if node.op_type == STAND_IN:
            node.op_type = "Erf"


def slices(graph: Any) -> None:
    """Where a slice is along one axis its ends are written as numbers; they are to be lists, as OpenVINO insists."""
    ends = {name for node in graph.node if node.op_type == "Slice" for name in node.input[1:]}
    for value in graph.initializer:
        if value.name in ends and not value.dims:
            value.dims.append(1)


def boundaries(nodes: Any) -> None:
    """The tensors at which the precision may change are called boundary0, boundary1, ..."""
    marked = [node.output[0] for node in nodes if any(name.endswith(MARK) for name in node.input)]
    names = {old: f"{MARK}{number}" for number, old in enumerate(marked)}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
