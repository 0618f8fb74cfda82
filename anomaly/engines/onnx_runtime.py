"""ONNX Runtime, on the processor or on whatever device its package is built for."""

import contextlib
import ctypes
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from anomaly.run.errors import DataError, first_line
from anomaly.run.threads import parallel

CUDA, TENSORRT, PROCESSOR = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
PROVIDERS = {"GPU": CUDA, "Ascend": "CANNExecutionProvider", "CPU": PROCESSOR}
SIGNS = {"GPU": "nvidia[0-9]*", "Ascend": "davinci[0-9]*"}  # in /dev, of such a device
PACKAGE = "pip install -r requirements-gpu-onnx.txt, into an environment of its own"
# Name of a library -> where it comes from.
DRIVER = {"libcuda.so.1": "it comes with NVIDIA's driver"}
TENSORRT_PACKAGE = "tensorrt-cu13-libs==10.16.1.11"
TENSORRT_TOO = f", and pip install {TENSORRT_PACKAGE}"
TENSORRT_LIBRARIES = dict.fromkeys(("libnvinfer.so.10", "libnvonnxparser.so.10"), f"pip install {TENSORRT_PACKAGE}")
NO_TF32 = "NVIDIA_TF32_OVERRIDE"  # 10 bits of each number, which TensorRT has no option against


def open(
    model: Union[Path, bytes],
    outputs: tuple,
    *,
    name: str,
    target: str = "",
    device_id: int = 0,
    cache: Optional[Path] = None,
) -> tuple[Callable, str]:
    """A function from arrays, in the order of the model's inputs, to its outputs of these names; and what it runs on.

    `name`: what errors call the model. `cache`: on a GPU, TensorRT runs it, and keeps there what it makes of it.
    """
    try:
        import onnxruntime
    except ImportError:
        raise DataError(f"{name}: running ONNX files needs onnxruntime: pip install onnxruntime") from None
    target = target or _best(onnxruntime)
    wanted = TENSORRT if cache else PROVIDERS[target]
    asked = "--engine tensorrt" if cache else f"--device_target {target}"
    if wanted not in onnxruntime.get_available_providers():
        remedy = f"{PACKAGE}{TENSORRT_TOO if cache else ''}" if target == "GPU" else "--device_target CPU runs it"
        raise DataError(f"{asked}: this onnxruntime has no {wanted}; {remedy}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others decode and draw meanwhile
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.log_severity_level = 3
    if target == "GPU":
        _preload(onnxruntime, asked, tensorrt=bool(cache))
    try:
        source = model if isinstance(model, bytes) else str(model)
        providers = _providers(wanted, str(device_id), cache=cache)
        session = onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime has a type of its own for each way in which a file can be wrong
        if target == "CPU":
            raise DataError(f"{name}: not an ONNX file ({first_line(error)})") from None
        raise DataError(f"{asked}: ONNX Runtime cannot use it ({first_line(error, 400)})") from None
    # Where it cannot use a device it leaves that out, and only prints lines of its own.
    if wanted not in {part.ep_name for part in session.get_provider_graph_assignment_info()}:
        raise DataError(f"{asked}: ONNX Runtime's {wanted} runs nothing here; is the driver there?")
    run = _runner(session, list(outputs), name=name, one_by_one=wanted == PROCESSOR)
    return run, f"ONNX Runtime ({wanted.removesuffix('ExecutionProvider')})"


def _runner(session: Any, outputs: list, *, name: str, one_by_one: bool) -> Callable:
    """`one_by_one`: each photograph by itself, several at a time, so that cores need not wait for one another."""
    inputs = [each.name for each in session.get_inputs()]
    any_number = all(not isinstance(each.shape[0], int) for each in session.get_inputs())

    def at_once(*arrays: np.ndarray) -> list:
        try:
            return session.run(outputs, dict(zip(inputs, arrays)))
        except Exception as error:
            raise DataError(f"{name}: does not fit its .json, or cannot run ({first_line(error)})") from None

    def run(*arrays: np.ndarray) -> list:
        found = parallel(lambda i: at_once(*(array[i : i + 1] for array in arrays)), list(range(len(arrays[0]))))
        return [np.concatenate(parts) for parts in zip(*found)]

    return run if one_by_one and any_number else at_once


def _best(onnxruntime: Any) -> str:
    """The device that is here and that this package is built for."""
    present = onnxruntime.get_available_providers()
    there = (target for target, sign in SIGNS.items() if next(Path("/dev").glob(sign), None))
    return next((target for target in there if PROVIDERS[target] in present), "CPU")


def _preload(onnxruntime: Any, asked: str, *, tensorrt: bool) -> None:
    """Loads the libraries of CUDA and TensorRT that lie in packages, where the system's loader does not look."""
    onnxruntime.set_default_logger_severity(4)  # what is missing is told in the error
    with contextlib.redirect_stdout(io.StringIO()) as said:
        onnxruntime.preload_dlls()
    missing = [f"{line}; {PACKAGE}" for line in said.getvalue().splitlines() if line.startswith("Failed")]
    for name, remedy in {**DRIVER, **(TENSORRT_LIBRARIES if tensorrt else {})}.items():
        files = (Path(entry or ".") / "tensorrt_libs" / name for entry in sys.path)
        try:
            ctypes.CDLL(str(next((file for file in files if file.is_file()), name)), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            missing.append(f"{error}; {remedy}")
    if missing:
        raise DataError(f"{asked}: {missing[0]}")


def _providers(wanted: str, number: str, *, cache: Optional[Path]) -> list:
    """Names of providers with their options, the first first."""
    if wanted == PROCESSOR:
        return [PROCESSOR]
    own = {"device_id": number, "use_tf32": "0"} if wanted != PROVIDERS["Ascend"] else {"device_id": number}
    if cache is None:
        return [(wanted, own), PROCESSOR]
    os.environ.setdefault(NO_TF32, "0")
    cache.mkdir(parents=True, exist_ok=True)
    kept = {"device_id": number, "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache)}
    return [(TENSORRT, kept), (CUDA, own), PROCESSOR]
