"""Chooses the device. It is one parameter that changes nothing else."""

import signal
import threading

from anomaly.run.errors import DataError
from anomaly.run.processes import launched

TARGETS = ("Ascend", "GPU", "CPU")  # best first


def best() -> str:
    import mindspore

    return next(target for target in TARGETS if mindspore.hal.is_available(target))


def set_device(target: str = "", device_id: int = 0) -> str:
    """Graph mode on the device asked for, or on the best that is present; returns its name."""
    import cv2
    import mindspore

    # Images are decoded in threads of our own: OpenCV's and MindSpore's would only get in each other's way.
    cv2.setNumThreads(1)
    cv2.setLogLevel(0)
    target = target or best()
    if not mindspore.hal.is_available(target):
        raise DataError(f"--device_target {target}: MindSpore finds no such device here; use --device_target {best()}")
    if target != "CPU" and device_id >= mindspore.hal.device_count(target):
        raise DataError(f"--device_id {device_id}: there are {mindspore.hal.device_count(target)} {target} devices")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    if launched():
        mindspore.set_device(target)  # msrun's processes share the devices of a machine out among themselves
    else:
        mindspore.set_device(target, device_id if target != "CPU" else 0)
    if threading.current_thread() is threading.main_thread():
        # While MindSpore computes, it turns Ctrl-C into SIGTERM; both are to end a command in an orderly way.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
    return target


def available_memory() -> int:
    """Bytes that could be taken now; a very large number where the system does not tell."""
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 1 << 62


def require_memory(needed: int, what: str, hint: str):
    free = available_memory()
    if needed > free:
        raise DataError(f"{what} {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; {hint}")
