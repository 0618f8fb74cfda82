"""Chooses the device. It is one parameter that changes nothing else.

MindSpore takes more than a second to load. On a CPU another engine computes most of the time, so there it is only
loaded when something asks for it: `ready`.
"""

import signal
import threading
from pathlib import Path
from typing import Any

from anomaly.run import cuda
from anomaly.run.errors import DataError, Terminated, first_line
from anomaly.run.processes import launched

TARGETS = ("Ascend", "GPU", "CPU")  # best first
# What MindSpore needs for a device, beside the device.
NEEDS = {
    "Ascend": "Ascend's driver and CANN, in the version that MindSpore's release notes name",
    "GPU": "NVIDIA's driver, and the libraries of CUDA 11: pip install -r requirements-gpu.txt",
}
SIGNS = ("davinci[0-9]*", "nvidia*", "dxg")  # in /dev, of devices that MindSpore may know
LOCK = threading.RLock()  # MindSpore computes for one thread at a time: two at once crash it
_wanted: list = ["CPU"]  # what was asked for last: a device, and where there are several, its number
_used: list = []  # what MindSpore was told


def best() -> str:
    if not any(next(Path("/dev").glob(sign), None) for sign in SIGNS):
        return "CPU"
    mindspore = with_libraries()
    return next(target for target in TARGETS if mindspore.hal.is_available(target))


def use(target: str = "", device_id: int = 0) -> str:
    """The device asked for, or the best that is present; returns its name."""
    target = target or best()
    if target != "CPU":
        mindspore = with_libraries()
        if not mindspore.hal.is_available(target):
            raise DataError(f"{unusable(target, 'MindSpore finds no such device here')}; or --device_target {best()}")
        if device_id >= mindspore.hal.device_count(target):
            raise DataError(f"--device_id {device_id}: there are {mindspore.hal.device_count(target)} {target} devices")
    # msrun's processes share the devices of a machine out among themselves
    _wanted[:] = [target] if launched() or target == "CPU" else [target, device_id]
    if target != "CPU" or launched():
        ready()
    return target


def with_libraries() -> Any:
    """MindSpore, which finds the libraries of GPUs only if they are there when it is loaded."""
    cuda.preload()
    import mindspore

    return mindspore


def unusable(target: str, reason: str) -> str:
    needed = f"; it needs {NEEDS[target]}" if target in NEEDS else ""
    return f"--device_target {target}: {reason}{needed}; bash scripts/doctor.sh says what is missing"


def ready() -> None:
    """MindSpore computes graphs on the device in use. Call it before anything is built in it."""
    import mindspore

    if _wanted != _used:  # it takes no second call once processes have met
        mindspore.set_context(mode=mindspore.GRAPH_MODE)
        try:
            mindspore.set_device(*_wanted)
        except RuntimeError as error:  # a driver or a library that does not fit
            if _wanted != ["CPU"] or mindspore.get_context("device_target") != "CPU":
                raise DataError(unusable(_wanted[0], first_line(error))) from None
            # otherwise somebody has computed with MindSpore before, on the processor too
        _used[:] = _wanted


def current() -> str:
    return _wanted[0]


def end_in_order() -> None:
    """For commands: SIGTERM ends them as Ctrl-C does, which MindSpore turns into SIGTERM while it computes."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _terminated)


def _terminated(*_: object) -> None:
    raise Terminated
