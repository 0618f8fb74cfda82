"""Runs the shell scripts as a user would."""

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A file without a first line that names bash is there to be sourced.
SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("*.sh") if path.read_text().startswith("#!"))
# What would change the command line, or what it is run with.
OURS = ("PYTHON", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS", "ASCEND_HOME_PATH", "CUDA_HOME", "LD_LIBRARY_PATH")


def environment(**variables) -> dict:
    """The tests' own without what the scripts set, and with these."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return {**kept, **{name: str(value) for name, value in variables.items()}}


def command(name: str, *arguments) -> list:
    return ["bash", str(ROOT / "scripts" / name), *map(str, arguments)]


def run(name: str, *arguments, cwd: Path = ROOT, timeout: float = 60, **variables) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(name, *arguments),
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def program(path: Path, text: str) -> Path:
    """A small shell script that can be called."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}")
    path.chmod(0o755)
    return path


def until(condition, seconds: float = 30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


LIBRARIES = [sys.executable, "-c", "import numpy, cv2"]  # which every command begins with
USUAL = 0.15  # seconds that these take; where they take longer, the machine is slow today


def at_once(call) -> bool:
    """Whether the best of a few calls takes less than 0.4 s; of the processor, where others keep it waiting for one."""
    for _ in range(4):
        usual = seconds(lambda: subprocess.run(LIBRARIES, check=True))
        if seconds(call) < 0.4 * max(1, usual / USUAL):
            return True
    return False


def seconds(call) -> float:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return min(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
