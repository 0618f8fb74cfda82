"""Little memory, a full disk, and files that may not become large: at every write."""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from case import ANY, Case, Done
from world import CPU

from families.images import GOOD, png, predict, training

KB, MB = 1 << 10, 1 << 20
FREE = (0, 4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024)  # KB
LARGEST = (1, 2, 4, 8, 16, 32, 64, 128)  # KB, of a file


def whole_state(folder: str, place: Path, done: Done) -> str:
    """There is none, or each of its files is the one that its record names; and no file of a page is half a file."""
    path = place / folder / "state.json"
    if path.is_file():
        for name, digest in json.loads(path.read_text())["files"].items():
            if hashlib.sha256((path.parent / name).read_bytes()).hexdigest() != digest:
                return f"{name} is not that of the record"
    report = path.parent / "report.html"
    if report.is_file() and not report.read_text().rstrip().endswith("</html>"):
        return "half a page"
    return ""


def named(place: Path, done: Done) -> str:
    """The error names no file that only exists for a moment."""
    bad = [line for line in done.errors if ".tmp" in line or ".saving" in line]
    return f"names a temporary file: {bad[0]}" if bad else ""


def checks(folder: str, place: Path, done: Done) -> str:
    return named(place, done) or whole_state(folder, place, done)


def commands(method: str) -> dict:
    state = ("--output_dir", f"out/{method}", "--category", "gear")
    again = tuple(f"out/{method}" if word == "out/new" else word for word in training(method))
    out, photos = f"out/{method}", "photos"
    return {
        "train": (again, (photos, out)),
        "eval": (("eval", method, *state, "--dataset_path", "photos", *CPU), (photos, out)),
        "predict": (tuple(word for word in predict(method) if word != "--no_pictures"), (photos, out)),
        "export": (("export", method, *state, "--file_format", "ONNX", *CPU), (photos, out)),
        "preprocess": (("preprocess", method, "--dataset_path", "photos", "--category", "gear", "--output_dir",
                        "out/sent", "--resize", "64", "--crop", "none"), (photos,)),
    }  # fmt: skip


def tools() -> dict:
    return {
        "toydata": (("toydata", "out/toy", "--train", "2", "--test", "1", "--size", "64"), ()),
        "watch": (("watch", "photos/gear/test", "--model", "tiny/part.onnx", "--results", "out/r.jsonl", "--once",
                   "--interval", "0.02"), ("photos", "tiny/part")),
        "threshold": (("threshold", "out/padim/gear", "--false_alarm_rate", "0.2"), ("out/padim",)),
        "check": (("check", "photos", "--category", "gear", "--json", "out/a.json"), ("photos",)),
    }  # fmt: skip


def cases(methods: tuple) -> Iterator[Case]:
    from runner import can_mount

    mounts = can_mount()
    for method in methods:
        for command, (words, needs) in commands(method).items():
            sizes = FREE if command in ("train", "eval") else FREE[::2]
            more = {"needs": needs, "errors": ANY, "codes": (0, 1), "says": ("out/",)}
            check = partial(checks, f"out/{method}/gear")
            for free in sizes if mounts else ():
                yield Case(f"limits/disk_{command}_{method}/{free}K", words, free=free * KB, check=check, **more)
            for size in LARGEST:
                yield Case(f"limits/file_{command}_{method}/{size}K", words, file=size * KB, check=check, **more)
    for command, (words, needs) in tools().items():
        for free in FREE[::2] if mounts else ():
            yield Case(f"limits/disk_{command}/{free}K", words, free=free * KB, check=named, codes=(0, 1), errors=ANY,
                       needs=needs)  # fmt: skip
        for size in LARGEST:
            yield Case(f"limits/file_{command}/{size}K", words, file=size * KB, check=named, codes=(0, 1), errors=ANY,
                       needs=needs)  # fmt: skip
    yield from of_memory(methods)


def of_memory(methods: tuple) -> Iterator[Case]:
    """A photograph that is too large for what is left."""
    for method in methods:
        for megabytes in (300, 800):
            yield Case(
                f"limits/memory_predict_{method}/{megabytes}M",
                predict(method),
                codes=(1,),
                says=("000.png",),
                needs=("photos", f"out/{method}"),
                prepare=large,
                memory=megabytes * MB,
                verdicts=1,
                errors=1,
            )


def large(place: Path) -> None:
    """30,000 x 30,000 pixels in a few kilobytes: 2.7 GB in memory."""
    side = 30_000
    import zlib

    from families.images import chunk

    packed, row = zlib.compressobj(9), bytes(1 + 3 * side)
    body = b"".join(packed.compress(row) for _ in range(side)) + packed.flush()
    head = png(side, side).split(b"IDAT")[0][:-4]
    (place / GOOD).write_bytes(head + chunk(b"IDAT", body) + chunk(b"IEND", b""))
