"""Streams that are closed, full or read by nobody, of real processes."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from case import ANY, Case, Done

from families.images import predict

PYTHON = (sys.executable, "-m", "anomaly")
SHELLS = {
    "no_stdin": ('"$@" <&-', 0),
    "no_stdout": ('"$@" >&-', 0),
    "no_stderr": ('"$@" 2>&-', 0),
    "none_at_all": ('"$@" <&- >&- 2>&-', 0),
    "read_by_nobody": ('"$@" | true; exit ${PIPESTATUS[0]}', 0),
    "one_line_read": ('"$@" | head -1; exit ${PIPESTATUS[0]}', 0),
    "full_stdout": ('"$@" >/dev/full', 1),
    "full_stderr": ('"$@" 2>/dev/full', 0),
    "both_in_a_pipe": ('"$@" 2>&1 | true; exit ${PIPESTATUS[0]}', 0),
    "read_only_stdout": ('"$@" 1</dev/null', 1),
    "hung_up": ('trap "" HUP; "$@"', 0),
    "no_broken_pipe": ('trap "" PIPE; "$@" | true; exit ${PIPESTATUS[0]}', 0),
}
LOCALES = {
    "posix": {"LC_ALL": "POSIX"},
    "c": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin": {"PYTHONIOENCODING": "latin-1"},
}


def lines(path: str, number: int, place: Path, done: Done) -> str:
    """What was to be written is there, whoever read what was said."""
    found = (place / path).read_text().count("\n") if (place / path).is_file() else 0
    return "" if found == number else f"{path}: {found} lines, wanted {number}"


def cases(methods: tuple) -> Iterator[Case]:
    method = methods[0]
    state = ("photos", f"out/{method}")
    watch = ("watch", "photos/gear/test", "--model", "tiny/part.onnx", "--results", "out/r.csv", "--once", "--interval",
             "0.02")  # fmt: skip
    commands: dict[str, tuple] = {
        "predict": ((*predict(method), "--save_csv", "out/a.csv"), state, partial(lines, "out/a.csv", 3)),
        "watch": (watch, ("photos", "tiny/part"), partial(lines, "out/r.csv", 9)),
        "check": (("check", "photos", "--category", "gear", "--json", "out/a.json"), ("photos",), None),
        "threshold": (("threshold", f"out/{method}/gear", "--false_alarm_rate", "0.2"), state, None),
        "toydata": (("toydata", "out/toy", "--train", "1", "--test", "1", "--size", "32"), (), None),
        "help": (("--help",), (), None),
        "version": (("--version",), (), None),
        "train_help": (("train", method, "--help"), (), None),
    }
    for command, (words, needs, check) in commands.items():
        for name, (shell, code) in SHELLS.items():
            yield Case(f"streams/{command}/{name}", words, codes=(code,), needs=needs, check=check, program=PYTHON,
                       streams={"shell": shell}, says=("standard output",), errors=ANY)  # fmt: skip
    for name, variables in LOCALES.items():
        for command in ("predict", "watch", "check"):
            words, needs, check = commands[command]
            yield Case(f"streams/{command}/{name}", words, codes=(0, 1) if command == "check" else (0,), needs=needs,
                       check=check, program=PYTHON, streams={"environment": variables}, errors=0,
                       prepare=umlauts)  # fmt: skip


def umlauts(place: Path) -> None:
    folder = place / "photos/gear/test/good"
    (folder / "000.png").rename(folder / "Prüfstück №7.png")
