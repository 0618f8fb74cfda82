"""The flow of one scale as native.cc has it, on arrays."""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.ctypeslib import ndpointer

SOURCE = Path(__file__).with_name("native.cc")
NUMBERS = 6  # arrays of a step: scale, offset, weight and bias of the first convolution, and of the second


class Step(ctypes.Structure):
    """As native.cc has it too."""

    _fields_ = (
        ("numbers", ctypes.c_void_p * NUMBERS),
        ("gradients", ctypes.c_void_p * NUMBERS),
        ("order", ctypes.c_void_p),
        ("kernel", ctypes.c_int64),
    )


class Flow(ctypes.Structure):
    """Likewise."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "channels", "height", "width", "hidden", "steps")),
        ("clamp", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("weight", "bias", "to_weight", "to_bias", "step", "room")),
    )


class Learned(ctypes.Structure):
    """Likewise."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("value", "moment1", "moment2", "gradient")),
        ("size", ctypes.c_int64),
    )

    @staticmethod
    def of(*arrays: np.ndarray) -> "Learned":
        return Learned(*map(place, arrays), arrays[0].size)


def place(array: np.ndarray) -> int:
    """Where it begins; what is written there is the array's."""
    if not (array.flags.c_contiguous and array.flags.writeable and array.dtype == np.float32):
        raise TypeError(f"an array of {array.dtype} that cannot be worked on where it lies")
    return array.ctypes.data


def declared(library: Any) -> ctypes.CDLL:
    flow, floats, doubles = ctypes.POINTER(Flow), ndpointer(np.float32, flags="C"), ndpointer(np.float64, flags="C")
    library.RoomFor.argtypes, library.RoomFor.restype = (flow,), ctypes.c_int64
    library.Likelihood.argtypes, library.Likelihood.restype = (flow, floats, doubles), None
    library.Gradients.argtypes, library.Gradients.restype = (flow, floats, floats, doubles), None
    constants = (ctypes.c_float,) * 5
    library.Adam.argtypes, library.Adam.restype = (ctypes.POINTER(Learned), ctypes.c_int64, *constants), None
    return library


class Scale:
    """`numbers()`: weight and bias of the normalisation, then the NUMBERS of each step.

    `sums`: arrays of their sizes, to which gradients are added; `orders`: of the channels that each step gives.
    """

    def __init__(
        self, library: ctypes.CDLL, numbers: Callable[[], list], *, sums: Sequence, orders: Sequence, clamp: float
    ) -> None:
        self.library, self.numbers, self.sums, self.clamp = library, numbers, sums, clamp
        self.orders = [np.ascontiguousarray(order, np.int32) for order in orders]
        self.room = np.empty(0, np.float32)

    def likelihood(self, x: np.ndarray) -> np.ndarray:
        """B C H W -> the negative log-likelihood of each image, B."""
        x, found = np.ascontiguousarray(x, np.float32), np.empty(len(x))
        self.library.Likelihood(self._flow(x.shape), x, found)
        return found

    def gradients(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The same; the gradients of their sum, each times its weight, are added to `sums`."""
        x, found = np.ascontiguousarray(x, np.float32), np.empty(len(x))
        self.library.Gradients(self._flow(x.shape), x, weights, found)
        return found

    def _flow(self, shape: tuple) -> Flow:
        (weight, bias, *rest), (to_weight, to_bias, *sums) = self.numbers(), self.sums
        steps = (Step * len(self.orders))()
        for i, (step, order) in enumerate(zip(steps, self.orders)):
            own = slice(i * NUMBERS, (i + 1) * NUMBERS)
            step.numbers[:], step.gradients[:] = list(map(place, rest[own])), list(map(place, sums[own]))
            step.order, step.kernel = order.ctypes.data, rest[own][2].shape[-1]
        hidden = rest[2].shape[0]
        whole = map(place, (weight, bias, to_weight, to_bias))
        flow = Flow(*shape, hidden, len(steps), self.clamp, *whole, ctypes.addressof(steps), None)
        needed = self.library.RoomFor(flow)
        if self.room.size < needed:
            self.room = np.empty(needed, np.float32)
        flow.room, flow.kept = self.room.ctypes.data, steps
        return flow
