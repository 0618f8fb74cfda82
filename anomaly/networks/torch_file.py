"""Reads the weights in a .pth file without PyTorch.

Such a file is a pickle that refers to blocks of numbers: entries of a zip archive, or, before PyTorch 1.6, what follows
the pickle.
"""

import io
import math
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from anomaly.networks.pickled import Refused, Stored, run
from anomaly.run.errors import DataError

OLD_MAGIC = 0x1950A86A20F9469CFC6C
SHARED = 2  # times as many numbers in tensors as in the file, at most: some networks use a tensor in two places


def read(path: Path) -> dict:
    """Name -> array, float32; raises DataError in one line."""
    try:
        with open(path, "rb") as file:
            if zipfile.is_zipfile(file):
                return _read_zip(file)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _read_old(content)
    except (Refused, ValueError, KeyError, IndexError, TypeError, struct.error) as error:
        raise DataError(f"{path}: not a file of weights ({_words(error)})") from None
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: damaged, or not a file of weights ({_words(error)})") from None


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())[:100] if isinstance(error, (Refused, zipfile.BadZipFile)) else ""
    return text or "its content makes no sense"


def _read_zip(file: BinaryIO) -> dict:
    size = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
            raise Refused("it is compressed, which PyTorch's own are not")
        if sum(info.file_size for info in entries.values()) > size:
            raise Refused("it says that it holds more than it is long")
        [main] = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")] or [""]
        folder = main.removesuffix("data.pkl")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            raise Refused("its numbers are not in little-endian order")
        tensors = _state_dict(run(io.BytesIO(archive.read(main))))
        contents: dict = {}
        for each in tensors.values():
            if each.storage.key not in contents:
                name = f"{folder}data/{each.storage.key}"
                if entries[name].file_size != each.storage.size:
                    raise Refused(f"{name} has not the size that it should have")
                contents[each.storage.key] = archive.read(name)
        return {name: each.array(contents[each.storage.key]) for name, each in tensors.items()}


def _read_old(file: mmap.mmap) -> dict:
    if run(file) != OLD_MAGIC:
        raise Refused("it does not begin as one")
    run(file), run(file)  # the version, and the machine that wrote it
    tensors = _state_dict(run(file))
    storages = {each.storage.key: each.storage for each in tensors.values()}
    contents = {}
    for key in run(file):
        if type(key) is not str:  # before it is looked up: a tuple of tuples, a million deep, would end the process
            raise Refused("the names of its storages are no text")
        [count] = struct.unpack("<q", file.read(8))
        storage = storages.get(key)
        if storage is None:
            raise Refused("it holds numbers that belong to no tensor")
        if count != storage.count or storage.size > file.size() - file.tell():
            raise Refused(f"the numbers of {next(n for n, t in tensors.items() if t.storage is storage)} are not there")
        contents[key] = file.read(storage.size)
    return {name: each.array(contents[each.storage.key]) for name, each in tensors.items()}


def _state_dict(found: Any) -> dict:
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(value, Stored) for value in found.values()):
        raise Refused("holds no state dict, names of tensors and their values")
    if not all(isinstance(key, str) and key.isprintable() for key in found):
        raise Refused("the names of its tensors are no text")
    storages = {each.storage for each in found.values()}
    if sum(math.prod(each.shape) for each in found.values()) > SHARED * sum(each.count for each in storages):
        raise Refused("its tensors share their numbers more often than weights do")
    return found
