"""Writes a Cell as an ONNX file."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import onnx as exporter

from anomaly.engines import int8, mending
from anomaly.networks.cells import Erf
from anomaly.run import device, leftovers
from anomaly.run.errors import DataError, first_line

BATCH = "batch"  # what an ONNX file calls an axis of any length


@contextmanager
def plain_folder(parent: Path) -> Iterator[tuple]:
    """A temporary folder, and a path to it with no sign that MindSpore refuses to write to."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f"{leftovers.name('export')}_") as folder:
        number = os.open(folder, os.O_RDONLY)
        try:
            yield Path(folder), f"/proc/self/fd/{number}"
        finally:
            os.close(number)


def write(cell: nn.Cell, examples: dict, *, outputs: tuple, target: Path, dynamic: bool) -> None:
    """`examples`: the name of each input -> an array as it comes in; `dynamic`: the first axis may have any length."""
    import onnx

    axes = {name: {0: BATCH} for name in examples} if dynamic else None
    with plain_folder(target.parent) as (folder, plain):
        with without_erf(cell):
            exporter.export(
                cell,
                *(Tensor(array) for array in examples.values()),
                file_name=f"{plain}/model.onnx",
                input_names=list(examples),
                output_names=list(outputs),
                dynamic_axes=axes,
            )
        if not (folder / "model.onnx").is_file():  # it logs what went wrong and returns
            raise DataError(f"{target}: cannot be written; the disk may be full")
        model = onnx.load(folder / "model.onnx")
        if dynamic:  # the exporter leaves the outputs with the batch that it was shown
            for output in model.graph.output:
                output.type.tensor_type.shape.dim[0].dim_param = BATCH
        mending.mend(model.graph)
        if network := int8.inside(cell):
            model = int8.graft(model, network)
        onnx.save(model, target)
    target.chmod(0o644)


class Ended(nn.Cell):
    """Each output ends in an operation of its own: the exporter cannot name one that is used inside, or reshaped."""

    def __init__(self, cell: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.cell = cell
        self.one = Parameter(Tensor(np.ones(1, np.float32)), name="one")  # the compiler cannot take it for 1
        self.set_train(False)

    def construct(self, *inputs):
        found = self.cell(*inputs)
        if not isinstance(found, tuple):
            return found * self.one
        outputs = ()
        for each in found:
            outputs += (each * self.one,)
        return outputs


@contextmanager
def without_erf(cell: nn.Cell) -> Iterator[None]:
    """The exporter does not know the error function: while it is at work, a function that no network has stands in."""
    found = [part for _, part in cell.cells_and_names() if isinstance(part, Erf)]
    with device.LOCK:  # nothing is to be computed with it
        for part in found:
            part.function = getattr(ops, mending.STAND_IN)()
        try:
            yield
        finally:
            for part in found:
                part.function = ops.Erf()


def content(cell: nn.Cell, examples: dict, *, outputs: tuple) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "graph.onnx"
        try:
            write(Ended(cell), examples, outputs=outputs, target=target, dynamic=True)
        except (RuntimeError, ValueError, TypeError) as error:
            raise DataError(f"the network could not be exported ({first_line(error)})") from error
        return target.read_bytes()


def numbers(cell: nn.Cell) -> Iterator[tuple]:
    """Name and value of all numbers in a Cell: its parameters and the tensors that are its attributes."""
    for parameter in cell.get_parameters():
        yield parameter.name, parameter
    for name, part in cell.cells_and_names():
        for key, value in vars(part).items():
            for number, each in enumerate(value if type(value) is tuple else (value,)):
                if type(each) is Tensor:
                    yield f"{name}.{key}.{number}", each


def digest(cell: nn.Cell) -> tuple:
    """Differs where any number in a Cell differs."""
    found = hashlib.sha256()
    for name, value in numbers(cell):
        found.update(f"{name}{value.shape}".encode())
        found.update(np.ascontiguousarray(value.asnumpy()).data)
    return (found.hexdigest(),)
