"""ONNX Runtime, on the processor or on whatever device its package is built for."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Union

import numpy as np

from anomaly.run.errors import DataError, first_line

PROVIDERS = {"GPU": "CUDAExecutionProvider", "Ascend": "CANNExecutionProvider", "CPU": "CPUExecutionProvider"}


def open(
    model: Union[Path, bytes], outputs: tuple, *, name: str, target: str = "", device_id: int = 0
) -> tuple[Callable, str]:
    """A function from arrays, in the order of the model's inputs, to its outputs of these names; and what it runs on.

    `name`: what errors call the model.
    """
    try:
        import onnxruntime
    except ImportError:
        raise DataError(f"{name}: running ONNX files needs onnxruntime: pip install onnxruntime") from None
    present = onnxruntime.get_available_providers()
    if target and PROVIDERS[target] not in present:
        raise DataError(f"--device_target {target}: this onnxruntime has no {PROVIDERS[target]}; use CPU")
    wanted = [PROVIDERS[target]] if target else [name for name in PROVIDERS.values() if name in present]
    wanted = list(dict.fromkeys([*wanted, PROVIDERS["CPU"]]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others decode and draw meanwhile
    options.log_severity_level = 3
    providers = [(each, {} if each == PROVIDERS["CPU"] else {"device_id": str(device_id)}) for each in wanted]
    try:
        source = model if isinstance(model, bytes) else str(model)
        session = onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # onnxruntime has a type of its own for each way in which a file can be wrong
        raise DataError(f"{name}: not an ONNX file ({first_line(error)})") from None
    inputs = [each.name for each in session.get_inputs()]

    def run(*arrays: np.ndarray) -> list:
        try:
            return session.run(list(outputs), dict(zip(inputs, arrays)))
        except Exception as error:
            raise DataError(f"{name}: does not fit its .json, or cannot run ({first_line(error)})") from None

    return run, f"ONNX Runtime ({session.get_providers()[0].removesuffix('ExecutionProvider')})"
