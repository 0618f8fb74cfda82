"""Which engine runs the part of a detector that learns nothing more. A frozen network is the same function everywhere.

On a CPU an exported graph runs two to four times as fast in ONNX Runtime as in MindSpore's kernels, and in bfloat16,
where the processor has it, faster again in OpenVINO. On Ascend and GPU it stays in MindSpore. A file that was exported
goes to NVIDIA's GPUs in ONNX Runtime too.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from anomaly.run.errors import DataError, UsageError
from anomaly.run.progress import log

AUTO, ONNX_RUNTIME, OPENVINO, MINDSPORE = "auto", "onnxruntime", "openvino", "mindspore"
TENSORRT = "tensorrt"  # inside ONNX Runtime, for exported files alone
ENGINES = (AUTO, ONNX_RUNTIME, OPENVINO, MINDSPORE, TENSORRT)
NNCF = "nncf"  # what quantises; judging with what was quantised does not need it
TITLES = {ONNX_RUNTIME: "ONNX Runtime", OPENVINO: "OpenVINO", MINDSPORE: "MindSpore", NNCF: "NNCF"}
REQUIREMENTS = {OPENVINO: "requirements-speed.txt", NNCF: "requirements-int8.txt"}  # with the versions that are tested
FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"
PRECISIONS = (FLOAT32, BFLOAT16, INT8)
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}  # of a processor, as Linux names them


@dataclass(frozen=True)
class Runtime:
    engine: str
    precision: str
    target: str

    @property
    def runs_beside(self) -> bool:
        """Whether another thread than the main one can call it."""
        return self.engine != MINDSPORE

    def __str__(self) -> str:
        """For people to read."""
        precise = "" if self.precision == FLOAT32 else f", {self.precision}"
        return f"{self.target} ({TITLES[self.engine]}{precise})"


@functools.lru_cache  # what it says, it says once
def choose(engine: str, precision: str, *, target: str) -> Runtime:
    """What was asked for, if it is possible on this device; `auto` takes the fastest that is installed."""
    if engine == TENSORRT:
        raise UsageError(f"--engine {engine}: is for an exported .onnx on a GPU, given as --model_path")
    if target != "CPU":
        if engine not in (AUTO, MINDSPORE) or precision != FLOAT32:
            raise UsageError(f"--engine and --precision are for the CPU; leave them out on {target}")
        return Runtime(MINDSPORE, precision, target)
    if precision == BFLOAT16:
        if engine not in (AUTO, OPENVINO):
            raise UsageError(f"--precision {precision}: needs --engine {OPENVINO}, or none")
        require(OPENVINO)
        if not has_bfloat16():
            log.info("this processor has no bfloat16: computing in float32, which gives slightly other scores")
            precision = FLOAT32
        return Runtime(OPENVINO, precision, target)
    if precision == INT8 and engine == MINDSPORE:
        raise UsageError(f"--precision {precision}: needs --engine {OPENVINO} or {ONNX_RUNTIME}, or none")
    if precision == INT8 and engine == AUTO:
        engine = OPENVINO if is_installed(OPENVINO) else ONNX_RUNTIME
    if engine == AUTO:
        engine = ONNX_RUNTIME if is_installed(ONNX_RUNTIME) else MINDSPORE
    require(engine)
    return Runtime(engine, precision, target)


def choose_for_onnx(engine: str, precision: str, *, target: str) -> Runtime:
    """The same for an exported .onnx. `target`: empty where none was named; then it may stay so."""
    if engine == MINDSPORE:
        raise UsageError(f"--engine {engine}: does not run .onnx files; export to MINDIR for that")
    if engine == TENSORRT:
        if target not in ("", "GPU"):
            raise UsageError(f"--engine {engine}: is for the GPU, not for --device_target {target}")
        if precision == INT8:
            raise UsageError(f"--engine {engine}: does not take models in {precision}; {ONNX_RUNTIME} does")
        return Runtime(engine, precision, "GPU")
    if target in ("", "CPU") and (engine == OPENVINO or (engine == AUTO and precision != FLOAT32)):
        return choose(engine, precision, target="CPU")
    if engine == OPENVINO:
        raise UsageError(f"--engine {engine}: is for the CPU; leave it out on {target}")
    if precision == BFLOAT16:
        log.info("ONNX Runtime has no bfloat16 here: computing in float32, which gives slightly other scores")
    return Runtime(ONNX_RUNTIME, precision, target)


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def require(package: str) -> None:
    if not is_installed(package):
        known = REQUIREMENTS.get(package)
        what = f"pip install -r {known} (or {package})" if known else f"pip install {package}"
        raise DataError(f"{TITLES[package]} is not installed: {what}")


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    try:
        return any(BFLOAT16_FLAGS & set(line.split()) for line in cpuinfo.read_text().splitlines())
    except OSError:
        return False
