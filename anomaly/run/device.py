"""Chooses the device. It is one parameter that changes nothing else. MindSpore is loaded when a device is asked for."""

import signal
import threading

from anomaly.run.errors import DataError
from anomaly.run.processes import launched

TARGETS = ("Ascend", "GPU", "CPU")  # best first
LOCK = threading.RLock()  # MindSpore computes for one thread at a time: two at once crash it
_used: list = []  # what was set last


def best() -> str:
    import mindspore

    return next(target for target in TARGETS if mindspore.hal.is_available(target))


def use(target: str = "", device_id: int = 0) -> str:
    """Graph mode on the device asked for, or on the best that is present; returns its name."""
    import mindspore

    target = target or best()
    if not mindspore.hal.is_available(target):
        raise DataError(f"--device_target {target}: MindSpore finds no such device here; use --device_target {best()}")
    if target != "CPU" and device_id >= mindspore.hal.device_count(target):
        raise DataError(f"--device_id {device_id}: there are {mindspore.hal.device_count(target)} {target} devices")
    # msrun's processes share the devices of a machine out among themselves
    wanted = (target,) if launched() else (target, device_id if target != "CPU" else 0)
    if wanted not in _used:  # MindSpore takes no second call once processes have met
        mindspore.set_context(mode=mindspore.GRAPH_MODE)
        mindspore.set_device(*wanted)
        _used[:] = [wanted]
    return target


def current() -> str:
    import mindspore

    return mindspore.get_context("device_target")


def end_in_order() -> None:
    """For commands: while MindSpore computes, it turns Ctrl-C into SIGTERM; both are to end a command alike."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
