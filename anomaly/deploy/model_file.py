"""Writes a Cell as one file: MINDIR, ONNX, or AIR on a machine with an Ascend."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Optional, Union

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn

from anomaly.deploy.description import INPUT
from anomaly.engines import onnx_file
from anomaly.engines.onnx_file import plain_folder
from anomaly.run.errors import DataError, UsageError, first_line
from anomaly.run.files import replacing, writing

LIMIT = 2**31 - 1  # bytes of a protobuf
PLAIN = "0-9a-zA-Z@_.-"  # of what MindSpore lets the name of a file consist


def constant(array: np.ndarray) -> Union[Tensor, Parameter]:
    """A fixed array of a Cell: a tensor, which is part of the model's graph, and with it of its one file.

    What does not fit there, and float16, which the compiler would turn into float32, becomes a parameter; MindSpore
    writes these to a folder beside the MINDIR file if they are more than 1 GB.
    """
    if array.dtype == np.float16 or array.nbytes > LIMIT // 2:
        return Parameter(Tensor(array), requires_grad=False)
    return Tensor(array)


def size_of(cell: nn.Cell) -> int:
    """Bytes of the numbers in a Cell."""
    return sum(value.nbytes for _, value in onnx_file.numbers(cell))


def fits(cell: nn.Cell, file_format: str) -> bool:
    return file_format != "ONNX" or size_of(cell) <= LIMIT


def write(
    cell: nn.Cell,
    size: tuple,
    *,
    batch: Optional[int],
    target: Path,
    file_format: str,
    outputs: tuple,
    first: Callable[[Path, Path], None],
) -> Path:
    """Exports a Cell that takes `batch` images (None: any number) of (height, width); returns where it lies.

    `first`: is called with that place and with the whole file that is about to be moved there.
    """
    if file_format == "AIR" and mindspore.get_context("device_target") != "Ascend":
        raise UsageError("--file_format AIR: can be written on a machine with an Ascend 910 only")
    if not fits(cell, file_format):
        raise DataError(
            f"{target}: {size_of(cell) / 1e9:.2f} GB do not fit an ONNX file ({LIMIT / 1e9:.2f} GB); use --file_format "
            "MINDIR, or train with a smaller --embedding_dim, --coreset_ratio or --resize"
        )
    try:
        if file_format == "ONNX":
            examples = {INPUT: np.zeros((batch or 1, *size, 3), np.uint8)}
            with replacing(target) as temporary:
                onnx_file.write(cell, examples, outputs=outputs, target=temporary, dynamic=batch is None)
                first(target, temporary)
            return target
        images = Tensor(shape=[batch, *size, 3], dtype=mindspore.uint8, init=None)
        if batch:
            images = Tensor(np.zeros((batch, *size, 3), np.uint8))
        return _mindspore(cell, images, target=target, file_format=file_format, first=first)
    except (RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"{target}: could not be exported ({first_line(error)})") from error


def _mindspore(
    cell: nn.Cell, images: Tensor, *, target: Path, file_format: str, first: Callable[[Path, Path], None]
) -> Path:
    """In a folder of its own first: one file, or a graph with a folder of variables, whose name is in the graph."""
    stem = re.sub(f"[^{PLAIN}]", "_", target.stem)
    with writing(target), plain_folder(target.parent) as (folder, plain):
        mindspore.export(cell, images, file_name=f"{plain}/{stem}{target.suffix}", file_format=file_format)
        made = sorted(folder.iterdir(), key=Path.is_file)  # the model itself last
        for path in made:
            path.chmod(0o644 if path.is_file() else 0o755)
            for part in path.iterdir() if path.is_dir() else ():
                part.chmod(0o644)
            name = path.name if path.is_dir() else target.stem + path.name.removeprefix(stem)
            final = target.parent / name
            if path is made[-1]:
                first(final, path)
            if final.is_dir():
                shutil.rmtree(final)
            os.replace(path, final)
    return final
