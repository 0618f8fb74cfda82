"""One case of the torture: what is prepared, what is called, and what has to come of it."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

VERDICT = re.compile(r"^(NORMAL|ANOMALOUS|UNKNOWN)\s+\S+\s+(.*)$")
BARS = re.compile(r"^(features|coreset|calibration|evaluation|gaussians|training|preprocessing|checking): ")
LEFTOVERS = ("*.tmp*", "*/.saving*", "*/.lock", "tmp/?*")


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int  # -9: it was killed, since it did not end
    out: str
    err: str

    @property
    def errors(self) -> list:
        lines = [line for line in re.split(r"[\r\n]", self.err) if line.strip() and not BARS.match(line)]
        return [line for line in lines if line.startswith(("error: ", "UNREADABLE"))]

    @property
    def verdicts(self) -> dict:
        """Path -> the line of its verdict, as far as no rounding changes it."""
        found = (VERDICT.match(line) for line in self.out.split("\n"))
        return {match[2]: match[0] for match in found if match}


ANY = -1  # lines of errors: none where it works, else one
MAYBE = -2  # none or one: what is wrong may stand in a report


def nothing(place: Path) -> None:
    pass


@dataclass(frozen=True)
class Case:
    """`words`: what is typed after `anomaly`, in the case's own folder. Paths below are relative to that folder.

    `codes`: the exit codes that are right; `says`: what the line of an error names, where it ends with one; `errors`:
    how many such lines (None: one if the code is not 0). `verdicts`: how many lines of verdicts; `unjudged`: of which
    photographs there must be none. `same`: where it works, verdicts are those of the whole state of that name.
    """

    name: str
    words: tuple
    codes: tuple = (0,)
    says: tuple = ()
    needs: tuple = ()
    prepare: Callable[[Path], None] = nothing
    writes: tuple = ("out/*", "photos.csv")
    errors: int | None = None
    verdicts: int | None = None
    unjudged: tuple = ()
    same: str = ""
    check: Callable[[Path, Done], str] | None = None
    seconds: float = 60
    memory: int = 0  # bytes beyond what the program has at the start
    file: int = 0  # bytes, of the largest file that can be written
    free: int = -1  # bytes, of a disk for out/ alone
    program: tuple = ()  # a real process, with words after it
    streams: dict = field(default_factory=dict)  # of a real process

    @property
    def family(self) -> str:
        return self.name.split("/")[0]


def refused(name: str, words: tuple, *says: str, code: int = 1, **more) -> Case:
    return Case(name, words, codes=(code,), says=says, **{"verdicts": 0, "errors": 1, **more})


def snapshot(folder: Path) -> dict:
    """All that is below a folder: path -> what it is. Nothing is opened that may not end."""
    found = {}
    for place, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            path = os.path.join(place, name)
            about = os.lstat(path)
            what: tuple = (stat.S_IFMT(about.st_mode), stat.S_IMODE(about.st_mode))
            if stat.S_ISLNK(about.st_mode):
                what += (os.readlink(path),)
            elif stat.S_ISREG(about.st_mode):
                what += (about.st_size, about.st_mtime_ns, digest(path, about.st_size))
            found[os.fsdecode(path)[len(str(folder)) + 1 :]] = what
    return found


def digest(path: bytes, size: int) -> str:
    if size > 1 << 22:
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def judged(case: Case, done: Done, *, before: dict, after: dict, place: Path, whole: dict) -> list:
    """What is wrong. `whole`: name -> the verdicts of a state that is not damaged."""
    wrong = [] if done.code in case.codes else [f"exit code {done.code}, wanted {case.codes}"]
    wrong += ["it did not end"] if done.code == -9 else []
    wrong += _said(case, done)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    outside = sorted(p for p in changed if not any(fnmatch(p, each) or each == f"{p}/*" for each in case.writes))
    wrong += [f"written outside: {outside[:3]}"] if outside else []
    left = sorted(p for p in after.keys() - before.keys() if any(fnmatch(p, each) for each in LEFTOVERS))
    wrong += [f"left lying: {left[:3]}"] if left else []
    wrong += _verdicts(case, done, place=place, whole=whole)
    more = case.check(place, done) if case.check and not wrong else ""
    return wrong + ([more] if more else [])


def _said(case: Case, done: Done) -> list:
    text = done.out + done.err
    wrong = [
        f"says {word!r}" for word in ("Traceback", "unexpected:", "Exception ignored", "core dumped") if word in text
    ]
    failed = done.code not in (0, 3)
    wanted = case.errors
    if wanted in (None, ANY, MAYBE):
        wanted = min(1, len(done.errors)) if wanted == MAYBE else int(failed)
    if len(done.errors) != wanted:
        wrong.append(f"{len(done.errors)} lines of errors, wanted {wanted}: {done.errors[:3]}")
    if failed and done.errors and not any(all(word in line for word in case.says) for line in done.errors):
        wrong.append(f"{case.says} is not in {done.errors[0]!r}")
    return wrong


def _verdicts(case: Case, done: Done, *, place: Path, whole: dict) -> list:
    found, wrong = done.verdicts, []
    if case.verdicts is not None and len(found) != case.verdicts:
        wrong.append(f"{len(found)} verdicts, wanted {case.verdicts}")
    listed = {**found, **dict.fromkeys(written(place / "out"), "")}
    wrong += [f"a verdict of {path}" for path in listed if any(path.endswith(each) for each in case.unjudged)]
    if case.same and done.code == 0 and found != whole[case.same]:
        wrong.append(f"other verdicts than those of a whole state: {list(found.values())[:2]}")
    return wrong


def written(folder: Path) -> list:
    """The photographs with a verdict in tables of results."""
    found = []
    for path in folder.glob("verdicts.json*") if folder.is_dir() else ():
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        try:
            rows = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
        except ValueError:
            return [f"{path}: cannot be read"]
        found += [row["path"] for row in rows if row["verdict"] != "UNREADABLE"]
    return found
