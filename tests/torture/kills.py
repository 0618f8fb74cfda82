"""Ends every command that writes with `kill -9`, again and again, and looks at what is left.

Half of the kills come at a random moment, half right before a random one of the steps that a command takes among files.
After each there is a whole state, the former or the new one; a reader works, and so does the same command once more,
which leaves nothing of the killed one lying.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.client import HTTPException
from pathlib import Path

import runner
from case import Case, snapshot
from families.folders import evaluated
from families.images import predict, training
from families.limits import whole_state
from world import CPU, METHODS, World

STEPS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LEFT = ("out/*.tmp*", "out/*/.saving*", "out/*/.lock", "out/*/.*.lock")  # what nothing may leave
TRIES = 4  # so many times as many runs as kills: some end before their moment has come


def commands(method: str) -> dict:
    """What is typed, each in a folder with a state that was trained there."""
    state = ("--output_dir", f"out/{method}", "--category", "gear")
    drawn = tuple(word for word in predict(method) if word != "--no_pictures")
    return {
        "train": tuple(f"out/{method}" if word == "out/new" else word for word in training(method))
        + (("--num_epochs", "1") if method == "fastflow" else ()),
        "eval": evaluated(method),
        "export": ("export", method, *state, "--file_format", "ONNX", *CPU),
        "predict": (*drawn, "--save_csv", "out/a.csv", "--save_masks"),
    }


@dataclass
class Victim:
    """A command of a method in a place of its own."""

    method: str
    name: str
    place: Path
    seconds: float = 0.0  # that a whole run takes
    steps: int = 0
    found: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.place / "out" / self.method / "gear"

    def words(self, number: int) -> tuple:
        words = commands(self.method)[self.name]
        return (*words, "--seed", str(number)) if self.name == "train" else words

    def prepare(self, world: World) -> None:
        """A state, and how long the command takes, and in how many steps, once all is warm."""
        for name in ("tmp", "home"):
            (self.place / name).mkdir(parents=True)
        world.put("photos", self.place)
        train = (*commands(self.method)["train"], "--seed", "0")
        for words in (train, self.words(0), self.words(0)):
            began = time.monotonic()
            pid = self.begin(words, at=0)
            code = runner.ended(pid, 300)
            self.seconds = time.monotonic() - began
            assert code == 0, Path(f"{self.place}.err").read_text()
        self.steps = int(Path(f"{self.place}.steps").read_text())

    def begin(self, words: tuple, *, at: int) -> int:
        for suffix in (".out", ".err", ".steps"):
            Path(f"{self.place}{suffix}").unlink(missing_ok=True)
        return runner.in_a_copy(lambda: counted(Case("", words), self.place, at=at))

    def kill(self, number: int, rng: random.Random) -> None:
        """Once, and what comes after it."""
        before, photographs = record(self.folder), snapshot(self.place / "photos")
        if number % 2:
            code = runner.ended(self.begin(self.words(number), at=rng.randint(1, self.steps)), 300)
        else:
            code = ended_at(self.begin(self.words(number), at=0), rng.uniform(0, self.seconds))
        if code != -signal.SIGKILL:  # it was over before
            return
        self.found["kills"] += 1
        wrong = self.works("a reader", (*predict(self.method),))
        after = record(self.folder)
        self.found["former" if after == before else "new"] += 1
        wrong += self.whole()
        wrong += self.works("the same once more", self.words(number))
        wrong += self.whole()
        names = [f"out/{path}" for path in snapshot(self.place / "out")]
        left = [name for name in names if any(fnmatch(name, each) for each in LEFT)]
        wrong += [f"left lying: {left[:3]}"] if left else []
        wrong += [] if snapshot(self.place / "photos") == photographs else ["photographs were changed"]
        if wrong:
            self.wrong.append(f"FAILED {self.method} {self.name}, kill {number}: " + "; ".join(wrong))

    def works(self, what: str, words: tuple) -> list:
        code = runner.ended(self.begin(words, at=0), 300)
        said = Path(f"{self.place}.err").read_text().strip().splitlines()[-2:]
        return [] if code == 0 and "Traceback" not in str(said) else [f"{what}: exit code {code}, {said}"]

    def whole(self) -> list:
        wrong = whole_state(str(self.folder.relative_to(self.place)), self.place, None)
        return [wrong] if wrong else []


def counted(case: Case, place: Path, *, at: int) -> int:
    """In a copy of this process: the command, which ends before step `at`."""
    count = [0]

    def step(event: str, args: tuple) -> None:
        if event in STEPS or (event == "open" and isinstance(args[2], int) and args[2] & WRITES):
            count[0] += 1
            if count[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    code = runner.called(case, place)
    seen = count[0]
    Path(f"{place}.steps").write_text(str(seen))
    return code


def ended_at(pid: int, seconds: float) -> int:
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def record(folder: Path) -> bytes:
    path = folder / "state.json"
    return path.read_bytes() if path.is_file() else b""


def run(world: World, *, folder: Path, number: int, only: str, say: Callable[[str], None]) -> bool:
    """Whether anything went wrong. `only`: how the names, as in train/padim, begin."""
    from one_scale import sitecustomize

    sitecustomize.begin()  # FastFlow through one layer, which takes half of the time
    failed = False
    names = [(name, method) for name in commands("padim") for method in METHODS if f"{name}/{method}".startswith(only)]
    for name, method in names:
        victim = Victim(method, name, folder / f"{name}.{method}")
        victim.prepare(world)
        rng = random.Random(f"{name} {method}")
        for count in range(TRIES * number):
            if victim.found["kills"] < number:
                victim.kill(count + 1, rng)
        failed = failed or bool(victim.wrong)
        for line in victim.wrong:
            say(line)
        say(
            f"{name}/{method}: {victim.found['kills']} kills, {victim.found['former']} left what was there, "
            f"{victim.found['new']} the new; {len(victim.wrong)} went wrong"
        )
        shutil.rmtree(victim.place)
    for name, work in (("watch", watched), ("serve", served)):
        if name.startswith(only):
            line, bad = work(world, folder / name, number)
            failed = failed or bad
            say(f"{name}: {line}")
    return failed


def watched(world: World, folder: Path, number: int) -> tuple:
    """What came of it, and whether it is wrong."""
    from tiny_model import photograph

    from anomaly.data.images import encode
    from benchmarks import killed

    contents = [encode(photograph(seed, defect=seed % 4 == 0), ".png") for seed in range(8)]
    sizes = {"number": 12 * number, "kills": number, "seconds": 0.5 * number}
    found = killed.tried(world.folder / "tiny" / "part.onnx", contents, folder=folder, **sizes)
    kills = found["killed"].count(-signal.SIGKILL)
    line = f"{kills} kills, {found['lines']} lines of {found['photographs']} photographs, {found['twice']} twice"
    whole = kills == number and found["lines"] == found["photographs"] == found["moved"] + found["left"]
    return line, not whole or bool(found["twice"])


def served(world: World, folder: Path, number: int) -> tuple:
    """Started again and again at one port; ended while it judges."""
    from benchmarks.service import Service, ask

    content = next((world.folder / "photos").rglob("test/*/*.png")).read_bytes()
    rng, port, right = random.Random(0), "0", 0
    wanted = None
    for count in range(number + 1):
        service = Service("--model", world.folder / "tiny" / "part.onnx", "--port", port)
        port = str(service.port)
        status, found = ask(service.port, content)
        wanted = wanted or found["score"]
        right += (status, found["score"]) == (200, wanted)
        if count < number:
            asking = runner.in_a_copy(lambda port=service.port: asked_without_end(port, content))
            time.sleep(rng.uniform(0, 0.2))
            service.process.kill()
            service.process.wait()
            runner.ended(asking, 10)
        else:
            code = service.end()
    line = f"{number} kills, started again at the same port, {right} right answers of {number + 1}, ended with {code}"
    return line, right != number + 1 or code != 0


def asked_without_end(port: int, content: bytes) -> int:
    from benchmarks.service import ask

    while True:
        try:
            ask(port, content)
        except (OSError, ValueError, HTTPException):
            return 0
