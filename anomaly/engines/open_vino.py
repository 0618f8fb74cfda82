"""OpenVINO, which computes in bfloat16 where the processor has it, and in int8 what was quantised."""

import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np

from anomaly.engines.choice import BFLOAT16, FLOAT32, require
from anomaly.networks.registry import MARK
from anomaly.run.errors import DataError, first_line

TELEMETRY = "openvino_telemetry"
CAP = "ONEDNN_MAX_CPU_ISA"  # for MindSpore's oneDNN (anomaly/__init__.py); OpenVINO's own wants the whole processor


@contextmanager
def _whole_processor() -> Iterator[None]:
    kept = os.environ.pop(CAP, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[CAP] = kept


def without_telemetry(package: str) -> Any:
    """A package of OpenVINO's makers, which would tell them of each use by another one: this cannot be imported."""
    modules: dict = sys.modules
    if package in modules:
        return modules[package]
    before = modules.pop(TELEMETRY, None)
    modules[TELEMETRY] = None
    try:
        return importlib.import_module(package)
    finally:
        del modules[TELEMETRY]
        if before is not None:
            modules[TELEMETRY] = before


@functools.lru_cache
def _core() -> Any:
    """One for the process, for good. Each sets a stack for signals and takes back the one before it when it goes: of
    two that end in the order in which they began, the second leaves a stack that is gone, and Ctrl-C a crash."""
    return without_telemetry("openvino").Core()


def open(model: Union[Path, bytes], outputs: tuple, *, name: str, precision: str) -> tuple[Callable, str]:
    """As in onnx_runtime.py; on the CPU."""
    require("openvino")
    openvino = without_telemetry("openvino")
    try:
        with _whole_processor():
            core = _core()
            whole = core.read_model(model)
            inputs = [each.any_name for each in whole.inputs]
            one_by_one = all(each.get_partial_shape()[0].is_dynamic for each in whole.inputs)
            if one_by_one:  # with shapes that are known some of its kernels take half the time
                whole.reshape({each: [1, *list(each.get_partial_shape())[1:]] for each in whole.inputs})
            parts = split(openvino, whole) if precision == BFLOAT16 else [whole]
            precisions = [precision, FLOAT32][: len(parts)]
            requests = [_request(core, part, precision=each) for part, each in zip(parts, precisions)]
    except RuntimeError as error:
        raise DataError(f"{name}: OpenVINO cannot run it ({first_line(error)})") from None
    lock = threading.Lock()  # a request holds the results of one run

    def at_once(*arrays: np.ndarray) -> list:
        """What it finds is overwritten by the next call."""
        known = dict(zip(inputs, arrays))
        for request in requests:
            names = [port.any_name for port in request.model_inputs]
            found = request.infer({each: known[each] for each in names}, share_inputs=True, share_outputs=True)
            known = {each: value for port, value in found.items() for each in port.names}
        return [known[each] for each in outputs]

    def run(*arrays: np.ndarray) -> list:
        arrays = tuple(np.ascontiguousarray(each) for each in arrays)
        try:
            with lock:
                if not one_by_one:
                    return [np.array(each) for each in at_once(*arrays)]
                count = len(arrays[0])
                return _gathered((at_once(*(each[i : i + 1] for each in arrays)) for i in range(count)), count)
        except (RuntimeError, KeyError) as error:
            raise DataError(f"{name}: does not fit its .json, or cannot run ({first_line(error)})") from None

    return run, f"OpenVINO (CPU, {precision})"


def _gathered(results: Iterator, count: int) -> list:
    """Copies of results for one photograph each, in arrays for all of them."""
    whole: list = []
    for i, parts in enumerate(results):
        whole = whole or [np.empty((count, *each.shape[1:]), each.dtype) for each in parts]
        for target, each in zip(whole, parts):
            target[i] = each[0]
    return whole


def _request(core: Any, model: Any, *, precision: str) -> Any:
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == BFLOAT16 else "f32",
        "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
        "PERFORMANCE_HINT": "LATENCY",
    }
    return core.compile_model(model, "CPU", settings).create_infer_request()


def split(openvino: Any, model: Any) -> list:
    """The model up to its boundaries and the rest; the whole of one that has none."""
    ends = [out for node in model.get_ordered_ops() for out in node.outputs() if _mark(out)]
    if not ends:
        return [model]
    starts = []
    for end in ends:
        start = openvino.opset13.parameter(end.get_partial_shape(), openvino.Type.f32, name=_mark(end))
        start.output(0).set_names({_mark(end)})
        for target in list(end.get_target_inputs()):
            target.replace_source_output(start.output(0))
        starts.append(start)
    return [openvino.Model(ends, model.get_parameters()), openvino.Model(model.get_results(), starts)]


def _mark(port: Any) -> str:
    """A name that stays when the tensor becomes an input of its own."""
    return next((name for name in port.get_names() if name.startswith(MARK) and name[len(MARK) :].isdigit()), "")
