"""Runs cases, each in a folder of its own: most in a copy of a process that has loaded everything, which takes
milliseconds, the others as processes of their own.
"""

import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from case import Case, Done, judged, snapshot
from world import ROOT, World

PARTS = ("deploy.export", "deploy.ensemble", "deploy.loading", "engines.frozen", "engines.onnx_runtime", "line.service")
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


def load_everything() -> None:
    """So that a copy of this process has nothing left to load. Nothing is computed here: threads are not copied."""
    for name in ("mindspore", "cv2", "faiss", "onnx", "onnxruntime", "openvino", "PIL.Image", "fastapi", "uvicorn"):
        importlib.import_module(name)
    from anomaly import __main__, methods
    from anomaly.run.options import COMMANDS

    for name in (*(f"commands.{name}" for name in COMMANDS), *PARTS):
        importlib.import_module(f"anomaly.{name}")
    for module in __main__.TOOLS.values():
        importlib.import_module(module)
    for name in methods.names():
        for part in ("detector", "model"):
            methods.get(name).part(part)


def in_a_copy(work: Callable[[], int]) -> int:
    """The process number of a copy of this process, which does this and ends."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = work() or 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = 120  # as Python does it
        os._exit(code)


def ended(pid: int, seconds: float) -> int:
    """The exit code; -9 and an end where it takes longer."""
    end, pause = time.monotonic() + seconds, 0.002
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -9


def called(case: Case, place: Path) -> int:
    """In the copy: the command as a shell would start it in the folder of the case."""
    os.chdir(place)
    os.environ.update(TMPDIR=str(place / "tmp"), HOME=str(place / "home"))
    tempfile.tempdir = None
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{place}.out", os.O_WRONLY | os.O_CREAT),
        (2, f"{place}.err", os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags, 0o644), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # as if they were Python's own
    limit(case, used=int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize())
    from anomaly.__main__ import main

    sys.argv[:] = ["anomaly", *map(str, case.words)]
    try:
        return main()
    except SystemExit as stop:
        return int(stop.code or 0)


def limit(case: Case, *, used: int = 0) -> None:
    """What this process may use from here on."""
    if case.memory:
        resource.setrlimit(resource.RLIMIT_AS, (used + case.memory, used + case.memory))
    if case.file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (case.file, case.file))


def process(case: Case, place: Path) -> Done:
    """The command as a process of its own."""
    environment = {**os.environ, **ENVIRONMENT, "TMPDIR": str(place / "tmp"), "HOME": str(place / "home")}
    command = [*case.program, *map(str, case.words)]
    shell = case.streams.get("shell")
    if shell:  # the words are given to it
        command = ["bash", "-c", shell, "shell", *command]
    try:
        done = subprocess.run(
            command,
            cwd=place,
            env={**environment, **case.streams.get("environment", {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=case.seconds,
            preexec_fn=lambda: limit(case),
        )
    except subprocess.TimeoutExpired as late:
        return Done(-9, str(late.stdout), str(late.stderr))
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def tried(case: Case, world: World, *, place: Path) -> list:
    """What is wrong with a case."""
    for name in ("tmp", "home"):
        (place / name).mkdir(parents=True)
    if case.free < 0:
        return _tried(case, world, place=place)
    (place / "out").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place / "out")]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        return _tried(case, world, place=place)
    finally:
        subprocess.run(["umount", "-l", str(place / "out")], check=True, capture_output=True)


def fill(folder: Path, free: int) -> None:
    """Until so many bytes are left on the disk of a folder."""
    with open(folder / "filler", "wb") as file:
        file.write(bytes(max(0, shutil.disk_usage(folder).free - free)))


def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0


def _tried(case: Case, world: World, *, place: Path) -> list:
    for part in dict.fromkeys(case.needs):
        world.put(part, place)
    case.prepare(place)
    if case.free >= 0:
        fill(place / "out", case.free)
    before = snapshot(place)
    if case.program:
        done = process(case, place)
    else:
        code = ended(in_a_copy(lambda: called(case, place)), case.seconds)
        said = [Path(f"{place}.{name}") for name in ("out", "err")]
        texts = [path.read_text(errors="replace") if path.exists() else "" for path in said]
        done = Done(code, *texts)
    wrong = judged(case, done, before=before, after=snapshot(place), place=place, whole=world.verdicts)
    return [*wrong, f"$ anomaly {' '.join(map(str, case.words))}", *done.err.strip().splitlines()[-4:]] if wrong else []


def run(cases: Iterable[Case], world: World, *, folder: Path, jobs: int, say: Callable[[str], None]) -> dict:
    """name -> what is wrong, of those where anything is."""
    failed: dict = {}
    working: dict = {}  # process -> case and place
    waiting = list(cases)[::-1]
    assert len({case.name for case in waiting}) == len(waiting), "two cases of one name"
    number = 0
    while waiting or working:
        while waiting and len(working) < jobs:
            case, number = waiting.pop(), number + 1
            place = folder / f"case{number:05}"
            working[in_a_copy(lambda case=case, place=place: _told(case, world, place=place))] = case, place
        pid, status = os.wait()
        if pid not in working:
            continue
        case, place = working.pop(pid)
        answer = Path(f"{place}.json")
        wrong = json.loads(answer.read_text()) if status == 0 and answer.exists() else ["the case itself failed"]
        if wrong:
            failed[case.name] = wrong
            say(f"FAILED {case.name}: {wrong[0]}\n    " + "\n    ".join(wrong[1:]))
        shutil.rmtree(place, ignore_errors=True)
        for suffix in (".json", ".out", ".err"):
            Path(f"{place}{suffix}").unlink(missing_ok=True)
    return failed


def _told(case: Case, world: World, *, place: Path) -> int:
    Path(f"{place}.json").write_text(json.dumps(tried(case, world, place=place)))
    return 0


def learnt(part: str, words: tuple, world: World, *, folder: Path) -> dict:
    """The verdicts of a state or model while it is whole, by which those of damaged ones are known."""
    place = folder / f"whole.{part.replace('/', '.')}"
    for name in ("tmp", "home"):
        (place / name).mkdir(parents=True)
    for need in ("photos", part):
        world.put(need, place)
    code = ended(in_a_copy(lambda: called(Case("", words), place)), 120)
    done = Done(code, *(Path(f"{place}.{name}").read_text() for name in ("out", "err")))
    assert done.code == 0 and done.verdicts, done.err
    return done.verdicts
