"""Reads the numbers in a MindSpore checkpoint without MindSpore, which takes seconds to load.

Such a file is one protobuf message: values with a name and a tensor each. Of a large tensor there are several in a row
with the same name, each with a part of its bytes.
"""

import functools
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from anomaly.run.errors import DataError

TYPES = {"Float16": np.float16, "Float32": np.float32, "Float64": np.float64, "Int32": np.int32, "Int64": np.int64}

CHECK, CHECKED = b"crc_num", 17  # what may stand behind the message: this and a sum, of so many bytes in all


def read(path: Path) -> dict:
    """Name -> array; raises DataError in one line."""
    message = _message()()
    try:
        content = path.read_bytes()
        message.ParseFromString(content[:-CHECKED] if content[-CHECKED:].startswith(CHECK) else content)
        found = {name: _array(list(parts)) for name, parts in groupby(message.value, lambda each: each.tag)}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (DecodeError, ValueError, KeyError):
        raise DataError(f"{path}: not a MindSpore checkpoint, or damaged") from None
    if not found:
        raise DataError(f"{path}: holds no weights")
    return found


def _array(parts: list) -> np.ndarray:
    last = parts[-1].tensor
    values = np.frombuffer(b"".join(part.tensor.tensor_content for part in parts), TYPES[last.tensor_type])
    return values.reshape(() if list(last.dims) == [0] else tuple(last.dims))


@functools.lru_cache
def _message() -> Any:
    """The type of the message, as far as it is read here, by the numbers that its fields have in the file."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds: Any = descriptor_pb2.FieldDescriptorProto
    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    messages = {
        "Tensor": {"dims": (many, kinds.TYPE_INT64), "tensor_type": (one, kinds.TYPE_STRING)}
        | {"tensor_content": (one, kinds.TYPE_BYTES)},
        "Value": {"tag": (one, kinds.TYPE_STRING), "tensor": (one, "Tensor")},
        "Checkpoint": {"value": (many, "Value")},
    }
    file = descriptor_pb2.FileDescriptorProto(name="anomaly/checkpoint.proto", package="anomaly")
    for name, fields in messages.items():
        described = file.message_type.add(name=name)
        for number, (field, (label, kind)) in enumerate(fields.items(), 1):
            made = described.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".anomaly.{kind}"
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("anomaly.Checkpoint"))
