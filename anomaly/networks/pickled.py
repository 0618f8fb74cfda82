"""A machine for the pickles in files of weights, which executes nothing that is in them.

A pickle is a program for a stack machine. This one knows dicts, lists, plain values and tensors, which refer to blocks
of numbers that stand elsewhere in the file; whatever else a pickle asks for is refused.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BFLOAT16 = "bfloat16"  # which numpy does not have: the upper half of a float32
KINDS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
MOST_AXES = 8
LARGEST = 2**48  # of sizes, strides and offsets, in numbers


class Refused(Exception):
    """What a file asks for and does not get, in a few words."""


@dataclass(frozen=True)
class Storage:
    key: str
    kind: str  # of KINDS' values
    count: int  # of numbers

    @property
    def size(self) -> int:
        return self.count * (2 if self.kind == BFLOAT16 else np.dtype(self.kind).itemsize)


@dataclass(frozen=True)
class Stored:
    """A tensor as a view of a storage."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self, content: bytes) -> np.ndarray:
        if len(content) != self.storage.size:
            raise Refused("a tensor whose numbers are not all there")
        kind = "<u2" if self.storage.kind == BFLOAT16 else self.storage.kind
        numbers = np.frombuffer(content, kind)
        found = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, [each * numbers.itemsize for each in self.strides], writeable=False
        )
        if self.storage.kind == BFLOAT16:
            return (found.astype(np.uint32) << 16).view(np.float32)
        return np.asarray(found, np.float32)


def _storage(reference: Any) -> Storage:
    """From ("storage", its kind, key, device, count), and in old files a view, which has to be the whole."""
    word, kind, key, _, count, *view = reference
    if word != "storage" or not isinstance(kind, Kind) or view not in ([], [None]):
        raise Refused("it refers to something that is no storage of a tensor")
    if not isinstance(key, str) or not _natural(count):
        raise Refused("a storage without a size")
    return Storage(key, kind.name, count)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Stored:
    sizes = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides) or len(shape) > MOST_AXES:
        raise Refused("a tensor that is described wrongly")
    if not all(map(_natural, sizes)):
        raise Refused("a tensor with a size that is none")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides))
    count = math.prod(shape)
    if count > storage.count or (count and last >= storage.count):
        raise Refused("a tensor that is larger than its numbers")
    return Stored(storage, offset, tuple(shape), tuple(strides))


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _ordered(pairs: Any = ()) -> dict:
    return _dict(pairs)


def _dict(pairs: Any) -> dict:
    """Only these keys: to look up a tuple of tuples of tuples, a million deep, would end the process."""
    found = {key: value for key, value in pairs if type(key) in (str, int)}
    if len(found) != len(pairs):
        raise Refused("a dict whose keys are no names")
    return found


@dataclass(frozen=True)
class Kind:
    name: str


ADMITTED: dict = {
    "collections OrderedDict": _ordered,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    **{f"torch {name}": Kind(kind) for name, kind in KINDS.items()},
}


def run(program: Any) -> Any:
    """What the pickle that begins here is.

    `program`: a file that is in memory, or mapped into it. Of others more can be asked than they hold, and Python takes
    the memory first.
    """
    machine = Machine()
    try:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                break
            machine.step(opcode.name, argument)
        [found] = machine.stack
        return found
    except (ValueError, KeyError, IndexError, TypeError, OverflowError):
        raise Refused("its pickle is damaged") from None


class Mark:
    pass


class Machine:
    def __init__(self) -> None:
        self.stack: list = []
        self.memo: dict = {}
        self.simple: dict[str, Callable] = {
            "NONE": lambda _: None,
            "NEWTRUE": lambda _: True,
            "NEWFALSE": lambda _: False,
            "EMPTY_DICT": lambda _: {},
            "EMPTY_LIST": lambda _: [],
            "EMPTY_TUPLE": lambda _: (),
            "MARK": lambda _: Mark(),
            "GLOBAL": self._global,
            "STACK_GLOBAL": lambda _: self._global(" ".join(self._pop(2))),
            "BINPERSID": lambda _: _storage(*self._pop(1)),
            "REDUCE": lambda _: self._reduce(),
            "TUPLE": lambda _: tuple(self._to_mark()),
            "TUPLE1": lambda _: tuple(self._pop(1)),
            "TUPLE2": lambda _: tuple(self._pop(2)),
            "TUPLE3": lambda _: tuple(self._pop(3)),
        }
        values = "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINSTRING SHORT_BINSTRING"
        gets = "BINGET LONG_BINGET"
        self.simple.update({name: lambda argument: argument for name in values.split()})
        self.simple.update({name: lambda argument: self.memo[argument] for name in gets.split()})

    def step(self, name: str, argument: Any) -> None:
        if name in self.simple:
            self.stack.append(self.simple[name](argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("SETITEM", "SETITEMS"):
            items = self._pop(2) if name == "SETITEM" else self._to_mark()
            self._top(dict).update(_dict(list(zip(items[::2], items[1::2]))))
        elif name in ("APPEND", "APPENDS"):
            items = self._pop(1) if name == "APPEND" else self._to_mark()
            self._top(list).extend(items)
        elif name == "BUILD":  # the attributes of an OrderedDict, which nobody reads
            self._pop(1)
            self._top(dict)
        elif name not in ("PROTO", "FRAME"):
            raise Refused(f"it contains {name}, which no weights need")

    def _pop(self, count: int) -> list:
        taken = self.stack[-count:]
        if len(taken) < count or any(isinstance(each, Mark) for each in taken):
            raise Refused("its pickle is damaged")
        del self.stack[-count:]
        return taken

    def _to_mark(self) -> list:
        at = next((i for i in range(len(self.stack) - 1, -1, -1) if isinstance(self.stack[i], Mark)), -1)
        if at < 0:
            raise Refused("its pickle is damaged")
        taken = self.stack[at + 1 :]
        del self.stack[at:]
        return taken

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise Refused("its pickle is damaged")
        return self.stack[-1]

    def _global(self, name: Any) -> Any:
        if name not in ADMITTED:
            raise Refused(f"it wants {str(name).replace(' ', '.')[:60]}, which is not taken from a file")
        return ADMITTED[name]

    def _reduce(self) -> Any:
        function, arguments = self._pop(2)
        if function not in (_ordered, _tensor, _parameter) or type(arguments) is not tuple:
            raise Refused("it calls something that is no tensor")
        return function(*arguments)
