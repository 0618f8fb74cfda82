"""Runs commands one after the other into a log; they end with the process that began them, however that ends."""

import importlib.metadata
import os
import platform
import re
import shlex
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Optional

from anomaly.deploy.description import PACKAGES
from anomaly.run.child import dies_with_this

PATIENCE = 20.0  # seconds in which an ended training may save its state
TAIL = 8192  # bytes
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]")


class Child:
    """Commands of which each is begun when the one before it has succeeded."""

    def __init__(self, commands: list, log: Path, environment: dict, append: bool = False):
        self.commands, self.log, self.environment = list(commands), log, environment
        self.offset = log.stat().st_size if append and log.is_file() else 0
        if not self.offset:
            log.write_bytes(b"")
        note(log.with_name("env.log"), commands, environment)
        self._next()

    def _next(self):
        # A session of its own: Ctrl-C on the terminal reaches the parent alone, which then ends it once.
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                self.commands.pop(0),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,  # MindSpore leaves folders of its own where it runs
                env=self.environment,
                start_new_session=True,
                preexec_fn=dies_with_this(),
            )

    def poll(self) -> Optional[int]:
        """The exit code, when all is over."""
        code = self.process.poll()
        if code == 0 and self.commands:
            self._next()
            return None
        return code

    def signal(self, number: int):
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def reason(self) -> str:
        """Why it failed, in one line."""
        lines = tail(self.log, self.offset)
        told = [line.partition("error: ")[2] for line in lines if line.startswith("error: ")]
        code = self.process.returncode
        if told:
            return told[-1]
        if code == -signal.SIGKILL:
            return "killed by SIGKILL; often memory was short, see --batch_size, --resize or fewer devices"
        said = f"; its last line: {lines[-1]}" if lines else ""
        return (f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}") + said


def tail(log: Path, offset: int = 0) -> list:
    """The last lines, as a terminal would show them: what a bar has overwritten counts as lines of their own."""
    try:
        with open(log, "rb") as file:
            file.seek(max(offset, file.seek(0, os.SEEK_END) - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [CONTROL.sub(" ", line).strip() for line in re.split(r"[\r\n]", text)]
    return [line for line in lines if line]


def note(path: Path, commands: list, environment: dict):
    """What was run, when and with which versions."""
    lines = [f"date: {time.strftime('%Y-%m-%d %H:%M:%S %z')}"]
    lines += [f"command: {shlex.join(command)}" for command in commands]
    lines += [f"system: {platform.platform()}", f"python: {platform.python_version()}"]
    lines += [f"{name}: {importlib.metadata.version(name)}" for name in PACKAGES]
    lines += [f"OMP_NUM_THREADS: {environment.get('OMP_NUM_THREADS', 'not set')}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def environment(target: str, processes: int) -> dict:
    """For processes that share the cores: each uses its part of them, unless the user has decided otherwise."""
    values = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if target == "CPU" and processes > 1:
        values.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // processes)))
    return values


def end(children: list):
    """Asks them to end, and after a while, or at a second Ctrl-C, does not ask."""
    deadline = time.monotonic() + PATIENCE
    try:
        for child in children:
            child.signal(signal.SIGTERM)
        for child in children:
            child.process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        for child in children:
            child.signal(signal.SIGKILL)
            child.process.wait()


@contextmanager
def ended_by_signals():
    """SIGTERM ends this process as Ctrl-C does, and neither is ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
