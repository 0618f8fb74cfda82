"""OpenVINO, which computes in bfloat16 where the processor has it."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np

from anomaly.engines.choice import BFLOAT16, require
from anomaly.run.errors import DataError, first_line

CAP = "ONEDNN_MAX_CPU_ISA"  # for MindSpore's oneDNN (anomaly/__init__.py); OpenVINO's own wants the whole processor


@contextmanager
def _whole_processor() -> Iterator[None]:
    kept = os.environ.pop(CAP, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[CAP] = kept


def open(model: Union[Path, bytes], outputs: tuple, *, name: str, precision: str) -> tuple[Callable, str]:
    """As in onnx_runtime.py; on the CPU."""
    require("openvino")
    openvino: Any = __import__("openvino")
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == BFLOAT16 else "f32",
        "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
        "PERFORMANCE_HINT": "LATENCY",
    }
    try:
        with _whole_processor():
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(model), "CPU", settings)
            request = compiled.create_infer_request()
    except RuntimeError as error:
        raise DataError(f"{name}: OpenVINO cannot run it ({first_line(error)})") from None
    ports = [compiled.output(each) for each in outputs]
    lock = threading.Lock()  # a request holds the results of one run

    def run(*arrays: np.ndarray) -> list:
        try:
            with lock:
                results = request.infer(dict(enumerate(arrays)))
                return [np.array(results[port]) for port in ports]
        except RuntimeError as error:
            raise DataError(f"{name}: does not fit its .json, or cannot run ({first_line(error)})") from None

    return run, f"OpenVINO (CPU, {precision})"
