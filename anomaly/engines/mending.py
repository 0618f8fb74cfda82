"""What MindSpore's exporter writes otherwise than ONNX has it, or not at all, put right in the graph."""

from typing import Any

from onnx.numpy_helper import to_array

from anomaly.networks.registry import MARK

STAND_IN = "Softsign"  # a function that no network here has, in the place of the error function


def mend(graph: Any) -> None:
    padding(graph.node)
    error_function(graph.node)
    slices(graph)
    pools(graph)
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


def pools(graph: Any) -> None:
    """Zeros around what comes from a ReLU, by a convolution with ones (resnet_cells.ZeroPad), become the max pool's own
    padding, which gives the same: MindSpore Lite reads outside of memory in a convolution that pads more than it sees.
    """
    made_by = {node.output[0]: node for node in graph.node}
    constants = {value.name: value for value in graph.initializer}
    for pool in [node for node in graph.node if node.op_type == "MaxPool"]:
        pad = made_by.get(pool.input[0])
        if pad is None or not _pads(pad, constants) or made_by[pad.input[0]].op_type != "Relu":
            continue
        pool.input[0] = pad.input[0]
        for attribute in [each for each in pool.attribute if each.name in ("auto_pad", "pads")]:
            pool.attribute.remove(attribute)
        pool.attribute.extend(each for each in pad.attribute if each.name == "pads")
        graph.node.remove(pad)
    used = {name for node in graph.node for name in node.input}
    for name, value in constants.items():  # members of an ensemble may share one
        if name not in used:
            graph.initializer.remove(value)


def _pads(node: Any, constants: dict) -> bool:
    """Whether all that a node does is to put zeros around."""
    weight = constants.get(node.input[1]) if node.op_type == "Conv" and len(node.input) == 2 else None
    return weight is not None and list(weight.dims[1:]) == [1, 1, 1] and bool((to_array(weight) == 1).all())


def boundaries(nodes: Any) -> None:
    """The tensors at which the precision may change are called boundary0, boundary1, ..."""
    marked = [node.output[0] for node in nodes if any(name.endswith(MARK) for name in node.input)]
    names = {old: f"{MARK}{number}" for number, old in enumerate(marked)}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
