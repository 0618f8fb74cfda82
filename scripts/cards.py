"""The cards of this machine, their drivers and libraries; for doctor.py, and as it without any package."""

import os
import subprocess
from pathlib import Path

from anomaly.run.cuda import LIBRARIES, found

OLDEST = 6  # compute capability of the oldest GPUs for which MindSpore 2.10 has code


def numbers(version: str) -> tuple:
    return tuple(int("0" + "".join(c for c in part if c.isdigit())) for part in version.split("."))


def first_lines(*command: str, lines: int = 4) -> list:
    """What a program says first; nothing if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()][:lines] if done.returncode == 0 else []


def library_folders() -> list:
    named = [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    return [*named, *sorted(Path("/usr/local").glob("cuda*/lib64"))]


def cuda() -> list:
    """Folders with the libraries of CUDA 11 that were not installed as packages."""
    return list(dict.fromkeys(str(f) for f in library_folders() if any(f.glob("libcudart.so.11*"))))


def other_cuda() -> list:
    """Installations of another CUDA, which are of no use here and do no harm."""
    return [path.name for path in sorted(Path("/usr/local").glob("cuda-[0-9]*")) if not path.name.startswith("cuda-11")]


def lacking() -> list:
    """The libraries for GPUs that are neither installed as packages nor in a folder of CUDA."""
    there = found()
    return [n for n in LIBRARIES if n not in there and not any((f / n).is_file() for f in library_folders())]


def libraries() -> str:
    missing = lacking()
    if len(missing) == len(LIBRARIES):
        return "none"
    return f"missing: {', '.join(missing)}" if missing else f"all {len(LIBRARIES)}"


def gpus() -> list:
    """A line for each: name, driver, compute capability, memory."""
    query = ("--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv,noheader")
    return first_lines("nvidia-smi", *query) or first_lines("nvidia-smi", "-L")


def too_old() -> list:
    """GPUs for which MindSpore has no code."""
    cards = [line.split(", ") for line in gpus()]
    return [card[0] for card in cards if len(card) == 4 and numbers(card[2].split(".")[0]) < (OLDEST,)]


def ascend() -> str:
    """The folder of CANN; doctor.sh has looked for its set_env.sh and read it."""
    return os.environ.get("ASCEND_HOME_PATH") or os.environ.get("ASCEND_TOOLKIT_HOME") or ""
