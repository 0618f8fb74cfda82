"""Runs one process and measures it as a whole: seconds, and the memory of it and its children together."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from anomaly.run.child import dies_with_this
from benchmarks.processes import tail

PAUSE = 0.02  # seconds between two looks at the process
SAMPLE = 0.5  # between two looks at the memory of several processes
KILOBYTE = 1024


def environment() -> dict[str, str]:
    """As this process was given it: what `anomaly` sets for MindSpore would slow PyTorch down."""
    pairs = Path("/proc/self/environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def family(pid: int) -> list[int]:
    """The process and all that it has begun."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def kilobytes(path: str, name: str) -> int:
    """A line of /proc; 0 of a process that has ended."""
    with suppress(OSError):
        return sum(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(name))
    return 0


def peak_of_one(pid: int) -> int:
    """Bytes so far. The system's own account of an ended process begins with the memory of the one that began it."""
    return KILOBYTE * kilobytes(f"/proc/{pid}/status", "VmHWM:")


def together(pid: int) -> int:
    """Bytes of a process and its children now, what they share counted once. Slow, so not of one alone."""
    pids = family(pid)
    return KILOBYTE * sum(kilobytes(f"/proc/{each}/smaps_rollup", "Pss:") for each in pids) if len(pids) > 1 else 0


def run(command: Sequence[Any], *, folder: Path, log: Path, environment: dict, limit: float) -> dict:
    """{seconds, memory}, or {limit}, or {failed}. Ended by anything else, it takes the process along."""
    peak = 0
    with open(log, "wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with_this(),
        )
    next_look = start + SAMPLE
    try:
        while process.poll() is None:
            now = time.perf_counter()
            if now - start > limit:
                return {"limit": limit}
            peak = max(peak, peak_of_one(process.pid))
            if now > next_look:
                peak, next_look = max(peak, together(process.pid)), now + SAMPLE
            time.sleep(PAUSE)
        seconds = time.perf_counter() - start
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what it may have left behind
        process.wait()
    if process.returncode:
        return {"failed": reason(process.returncode, log)}
    return {"seconds": seconds, "memory": peak}


def reason(code: int, log: Path) -> str:
    lines = [line for line in tail(log) if set(line) - set("^~ ")]  # a traceback underlines
    said = f": {lines[-1][:200]}" if lines else ""
    return (f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}") + said
