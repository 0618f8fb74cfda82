"""Writes a Cell as one file: MINDIR, ONNX, or AIR on a machine with an Ascend."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, Union

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn

from anomaly.deploy.description import INPUT
from anomaly.run.errors import DataError, UsageError, first_line
from anomaly.run.files import replacing, writing

LIMIT = 2**31 - 1  # bytes of a protobuf
PLAIN = "0-9a-zA-Z@_.-"  # of what MindSpore lets the name of a file consist
BATCH = "batch"  # what an ONNX file calls an axis of any length


def constant(array: np.ndarray) -> Union[Tensor, Parameter]:
    """A fixed array of a Cell: a tensor, which is part of the model's graph, and with it of its one file.

    What does not fit there, and float16, which the compiler would turn into float32, becomes a parameter; MindSpore
    writes these to a folder beside the MINDIR file if they are more than 1 GB.
    """
    if array.dtype == np.float16 or array.nbytes > LIMIT // 2:
        return Parameter(Tensor(array), requires_grad=False)
    return Tensor(array)


def size_of(cell: nn.Cell) -> int:
    """Bytes of the numbers in a Cell: its parameters and the tensors that are its attributes."""
    total = sum(parameter.nbytes for parameter in cell.get_parameters())
    for _, part in cell.cells_and_names():
        for value in vars(part).values():
            total += sum(each.nbytes for each in (value if type(value) is tuple else (value,)) if type(each) is Tensor)
    return total


def fits(cell: nn.Cell, file_format: str) -> bool:
    return file_format != "ONNX" or size_of(cell) <= LIMIT


def write(cell: nn.Cell, size: tuple, *, batch: Optional[int], target: Path, file_format: str, outputs: tuple) -> Path:
    """Exports a Cell that takes `batch` images (None: any number) of (height, width); returns where it lies."""
    if file_format == "AIR" and mindspore.get_context("device_target") != "Ascend":
        raise UsageError("--file_format AIR: can be written on a machine with an Ascend 910 only")
    if not fits(cell, file_format):
        raise DataError(
            f"{target}: {size_of(cell) / 1e9:.2f} GB do not fit an ONNX file ({LIMIT / 1e9:.2f} GB); use --file_format "
            "MINDIR, or train with a smaller --embedding_dim, --coreset_ratio or --resize"
        )
    try:
        if file_format == "ONNX":
            return _onnx(cell, Tensor(np.zeros((batch or 1, *size, 3), np.uint8)), batch is None, target, outputs)
        images = Tensor(shape=[batch, *size, 3], dtype=mindspore.uint8, init=None)
        if batch:
            images = Tensor(np.zeros((batch, *size, 3), np.uint8))
        return _mindspore(cell, images, target, file_format)
    except (RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"{target}: could not be exported ({first_line(error)})") from error


@contextmanager
def _plain_folder(parent: Path) -> Iterator[tuple]:
    """A temporary folder, and a path to it with no sign that MindSpore refuses to write to."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export.") as folder:
        number = os.open(folder, os.O_RDONLY)
        try:
            yield Path(folder), f"/proc/self/fd/{number}"
        finally:
            os.close(number)


def _onnx(cell: nn.Cell, images: Tensor, dynamic: bool, target: Path, outputs: tuple) -> Path:
    import onnx
    from mindspore import onnx as exporter

    names = {"input_names": [INPUT], "output_names": list(outputs)}
    axes = {INPUT: {0: BATCH}} if dynamic else None
    with replacing(target) as temporary, _plain_folder(target.parent) as (folder, plain):
        exporter.export(cell, images, file_name=f"{plain}/model.onnx", dynamic_axes=axes, **names)
        if not (folder / "model.onnx").is_file():  # it logs what went wrong and returns
            raise DataError(f"{target}: cannot be written; the disk may be full")
        os.replace(folder / "model.onnx", temporary)
        temporary.chmod(0o644)
        if dynamic:  # the exporter leaves the outputs with the batch that it was shown
            model = onnx.load(temporary)
            for output in model.graph.output:
                output.type.tensor_type.shape.dim[0].dim_param = BATCH
            onnx.save(model, temporary)
    return target


def _mindspore(cell: nn.Cell, images: Tensor, target: Path, file_format: str) -> Path:
    """In a folder of its own first: one file, or a graph with a folder of variables, whose name is in the graph."""
    stem = re.sub(f"[^{PLAIN}]", "_", target.stem)
    with writing(target), _plain_folder(target.parent) as (folder, plain):
        mindspore.export(cell, images, file_name=f"{plain}/{stem}{target.suffix}", file_format=file_format)
        made = sorted(folder.iterdir(), key=Path.is_file)  # the model itself last
        for path in made:
            path.chmod(0o644 if path.is_file() else 0o755)
            for part in path.iterdir() if path.is_dir() else ():
                part.chmod(0o644)
            name = path.name if path.is_dir() else target.stem + path.name.removeprefix(stem)
            final = target.parent / name
            if final.is_dir():
                shutil.rmtree(final)
            os.replace(path, final)
    return final
