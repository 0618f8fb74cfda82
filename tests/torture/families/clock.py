"""A clock that is wrong, or set back while a command works; and files that carry times of another clock."""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from case import Case, Done
from world import CPU, PHOTOGRAPHS

from families.folders import evaluated, watch
from families.images import predict, training
from families.streams import PYTHON

YEAR = 365 * 86400
# Seconds since 1970, or from now.
TIMES = {"1970": 0.0, "before_1970": -86400.5, "1979": 9.5 * YEAR, "2100": 130.0 * YEAR, "2300": 330.0 * YEAR}
LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")  # of Debian and others
CLOCKS = {"1970": "@1970-01-02 00:00:00", "set_back": "-400d", "ahead": "+40000d"}
# The clock is right at first, and is set while the command works, again and again.
WHILE = 'echo +0 >home/clock; (for t in -1d +3y -1h -30y +0; do sleep {pause}; echo "$t" >home/clock; done) & "$@"'
NEGATIVE = re.compile(r"(?<![\w.])-\d[\d.]*(?::\d\d| s\b| min\b| left)")  # a length of time


def library() -> str:
    """What stands between a program and the clock, of the package faketime; nothing where it is not installed."""
    return next((str(path) for each in LIBRARIES for path in sorted(Path("/").glob(each[1:]))), "")


def cases(methods: tuple) -> Iterator[Case]:
    yield from of_files(methods)
    if library() and len(methods) > 1:  # they take seconds each: not in the short form
        yield from of_clocks(methods)


def commands(method: str) -> dict:
    state = ("--output_dir", f"out/{method}", "--category", "gear")
    again = tuple(f"out/{method}" if word == "out/new" else word for word in training(method))
    return {
        "train": again,
        "eval": evaluated(method),
        "predict": tuple(word for word in predict(method) if word != "--no_pictures"),
        "export": ("export", method, *state, "--file_format", "ONNX", *CPU),
        "threshold": ("threshold", f"out/{method}/gear", "--false_alarm_rate", "0.2"),
        "check": ("check", "photos", "--category", "gear", "--json", "out/a.json"),
        "watch": watch(),
        "preprocess": ("preprocess", method, "--dataset_path", "photos", "--category", "gear", "--output_dir",
                       "out/sent", "--resize", "32", "--crop", "none"),
    }  # fmt: skip


def aged(seconds: float, place: Path) -> None:
    """Photographs, states and models are of that time."""
    for folder, folders, files in os.walk(place):
        for name in folders + files:
            os.utime(os.path.join(folder, name), (seconds, seconds))


def left_over(seconds: float, place: Path) -> None:
    """So is what a killed process has left: a lock, and files half written."""
    from anomaly.run import leftovers

    for folder in place.glob("out/*/gear"):
        (folder / ".lock").write_text("999999999")
        (folder / leftovers.name("report", ".html").replace(f".{os.getpid()}-", ".999999999-")).write_text("half")
    aged(seconds, place)


def sensible(place: Path, done: Done) -> str:
    """No length of time is below nothing."""
    found = NEGATIVE.search(done.out + done.err)
    return f"says {found[0]!r}" if found else ""


def of_files(methods: tuple) -> Iterator[Case]:
    for number, (name, seconds) in enumerate(TIMES.items()):
        method = methods[number % len(methods)]
        for command, words in commands(method).items():
            needs = ("photos", f"out/{method}", "tiny/part")
            works = {"needs": needs, "check": sensible, "errors": 0}
            if command == "watch":
                works["verdicts"] = PHOTOGRAPHS
            yield Case(f"clock/files_{command}/{name}", words, prepare=partial(aged, seconds), **works)
            if command in ("train", "eval"):
                yield Case(f"clock/left_{command}/{name}", words, prepare=partial(left_over, seconds), **works)


def of_clocks(methods: tuple) -> Iterator[Case]:
    variables = {"LD_PRELOAD": library(), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    for number, command in enumerate(commands(methods[0])):
        method = methods[number % len(methods)]
        words = commands(method)[command]
        more = {"needs": ("photos", f"out/{method}", "tiny/part"), "program": PYTHON, "check": sensible, "errors": 0}
        if command == "watch":
            more["verdicts"] = PHOTOGRAPHS
        for name, clock in CLOCKS.items():
            yield Case(f"clock/all_of_{command}/{name}", words,
                       streams={"environment": {**variables, "FAKETIME": clock}}, **more)  # fmt: skip
        moving = {**variables, "FAKETIME_TIMESTAMP_FILE": "home/clock", "FAKETIME_NO_CACHE": "1"}
        yield Case(f"clock/set_during_{command}", words, **more, writes=("out/*", "photos.csv", "home/clock"),
                   streams={"shell": WHILE.format(pause=0.6), "environment": moving})  # fmt: skip
