"""The C++ program: damaged photographs and models, wrong options, streams, full disks and little memory."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from case import ANY, Case, Done, refused

from families.folders import NAMES, put, renamed, still_mine
from families.images import BAD, FINE, GOOD, NO_FILE, spoilt
from families.limits import FREE, KB, LARGEST, MB, large
from families.options import NO_CHOICE, NO_WHOLE_NUMBER
from families.records import MODEL, WHOLE_FILES, changes, edit_sealed, no_array, replace_file
from families.streams import SHELLS

PROGRAM = ("../world/cpp/anomaly_infer",)  # which has to be built: the part `cpp` of the world
NEEDS = ("photos", "tiny/part", "cpp")
TINY = "tiny/part.onnx"


def words(source: str = "photos/gear/test/good", *, model: str = TINY, output: str = "out/cpp") -> tuple:
    return ("--model", model, "--input", source, "--output", output, "--warmup", "0", "--threads", "2")


def case(name: str, typed: tuple, **more) -> Case:
    return Case(f"cpp/{name}", typed, **{"needs": NEEDS, "program": PROGRAM, "errors": ANY, **more})


def fails(name: str, typed: tuple, *says: str, **more) -> Case:
    return refused(f"cpp/{name}", typed, *says, **{"needs": NEEDS, "program": PROGRAM, **more})


def nothing_of(name: str, place: Path, done: Done) -> str:
    """Neither a map nor a line of the table is of that photograph."""
    found = [str(path) for path in place.glob(f"out/cpp/**/{name}*")]
    table = place / "out/cpp/results.csv"
    if table.is_file() and name in table.read_text(errors="replace"):
        found.append(f"{table}: a line")
    return f"written of what is damaged: {found[0]}" if found else ""


def cases(methods: tuple) -> Iterator[Case]:
    yield from of_images()
    yield from of_options()
    yield from of_models(methods[0])
    yield from of_places()
    yield from of_streams()
    yield from of_limits()


def of_images() -> Iterator[Case]:
    for name, spoil in {**BAD, **NO_FILE}.items():
        prepare, passed = partial(spoilt, GOOD, spoil), name in NO_FILE
        yield case(f"images/{name}", words(), codes=(0,) if passed else (1,), says=("000.png",), prepare=prepare,
                   verdicts=1, unjudged=("000.png",), check=partial(nothing_of, "000.png"))  # fmt: skip
        yield fails(f"image/{name}", words(GOOD), "holds no image" if name == "folder" else GOOD, prepare=prepare,
                    check=partial(nothing_of, "000.png"), seconds=20)  # fmt: skip
        json = tuple(word for word in words() if word not in ("--output", "out/cpp"))
        yield case(f"json/{name}", (*json, "--json"), codes=(0,) if passed else (1,), says=("000.png",),
                   prepare=prepare, writes=())  # fmt: skip
    for name, spoil in FINE.items():
        yield case(f"images/{name}", words(), prepare=partial(spoilt, GOOD, spoil), verdicts=2)
    for size in (0, 1, 64 * 64 * 3 - 1, 64 * 64 * 3 + 1):
        yield fails(f"bin/{size}", (*words("photos/gear/test/good/000.bin"), "--preprocess", "n"), "000.bin",
                    prepare=partial(_bin, size))  # fmt: skip


def _bin(size: int, place: Path) -> None:
    (place / "photos/gear/test/good/000.bin").write_bytes(bytes(size))


NUMBERS = {"--device_id": (), "--threads": ("0", "1025"), "--at_once": ("0", "1025"), "--batch": ("0",), "--warmup": ()}
CHOICES = ("--device", "--precision", "--preprocess", "--self_check")


def of_options() -> Iterator[Case]:
    more: dict = {"code": 2, "writes": ()}
    for option, others in NUMBERS.items():
        for value in (*NO_WHOLE_NUMBER, *others):
            yield fails(f"options/{option}={value[:20]!r}", (*words(), option, value), option, **more)
    for option in CHOICES:
        for value in NO_CHOICE:
            yield fails(f"options/{option}={value!r}", (*words(), option, value), option, **more)
    for option in ("--model", "--input", "--output"):
        typed = list(words())
        at = typed.index(option)
        yield fails(f"options/{option}/missing", (*typed[:at], *typed[at + 2 :]), option, **more)
        yield fails(f"options/{option}/empty", (*typed[: at + 1], "", *typed[at + 2 :]), option, **more)
        gone = (*typed[: at + 1], "gone.onnx", *typed[at + 2 :])
        if option != "--output":
            yield fails(f"options/{option}/gone", gone, "gone.onnx", writes=())
    yield fails("options/unknown", (*words(), "--colour", "red"), "--colour", **more)
    yield fails("options/newline", (*words(), "--a\nb"), "--a", **more)
    yield fails("options/model_is_no_model", words(model="tiny/part.json"), "--model", **more)
    yield fails("options/mindir_is_gone", words(model="tiny/part.mindir"), "part.mindir", writes=())
    yield case("options/many_threads", (*words(), "--threads", "1024"), codes=(0, 1))


def of_models(method: str) -> Iterator[Case]:
    part = f"models/{method}"
    typed = words(model=f"{part}.onnx")
    needs = ("photos", part, "cpp")
    for key in MODEL:
        for name, change in changes(key):
            yield case(f"model/{key}={name}", typed, codes=(0, 1), says=(f"{method}.json",), needs=needs,
                       prepare=partial(edit_sealed, f"{part}.json", change))  # fmt: skip
    for kind in WHOLE_FILES:
        for suffix in ("json", "onnx"):
            yield fails(f"file/{suffix}={kind}", words(), f"part.{suffix}", seconds=20,
                        prepare=partial(replace_file, f"tiny/part.{suffix}", kind))  # fmt: skip
    for kind in ("empty", "cut", "cut_at_the_end", "longer", "words", "zeros"):
        yield case(f"onnx_sealed/{kind}", words(), codes=(0, 1), says=("part.onnx",),
                   prepare=partial(_sealed, kind))  # fmt: skip


def _sealed(kind: str, place: Path) -> None:
    """A damaged model with a description that was made for it."""
    import hashlib

    path = place / TINY
    no_array(path, kind)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit_sealed("tiny/part.json", lambda record: record.update(sha256={"onnx": digest}), place)


def of_places() -> Iterator[Case]:
    for name, place in {"file": GOOD, "below_a_file": f"{GOOD}/deeper", "proc": "/proc/nowhere", "long": "x" * 300,
                        "null": "/dev/null"}.items():  # fmt: skip
        yield fails(f"place/{name}", words(output=place), place)
    yield fails("place/input", words(output="photos/gear/test/good"), "photos/gear/test/good")
    for name, text in NAMES.items():
        yield case(f"names/{name}", words(), prepare=partial(renamed, text), verdicts=2)
    for name in ("results.csv", "test_perform_static.txt"):
        for kind in ("file", "folder", "link_to_file", "link_to_folder"):
            where = f"out/cpp/{name}"
            yield fails(f"foreign/{name}={kind}", words(), name, prepare=partial(put, where, kind),
                        check=partial(still_mine, where, kind))  # fmt: skip


def of_streams() -> Iterator[Case]:
    for name, (shell, code) in SHELLS.items():
        yield case(f"streams/{name}", words("photos/gear/test"), codes=(code,), streams={"shell": shell},
                   says=("standard output",), check=_table)  # fmt: skip
        yield case(f"streams_help/{name}", ("--help",), codes=(code,), streams={"shell": shell},
                   says=("standard output",))  # fmt: skip


def _table(place: Path, done: Done) -> str:
    """Whoever reads what is said, the files are there."""
    table = place / "out/cpp/results.csv"
    found = table.read_text().count("\n") if table.is_file() else 0
    return "" if found == 9 else f"{table.name}: {found} lines, wanted 9"


def of_limits() -> Iterator[Case]:
    from runner import can_mount

    typed = words("photos/gear/test", output="out/cpp")
    more: dict = {"codes": (0, 1), "says": ("out/cpp",)}
    for free in FREE if can_mount() else ():
        yield case(f"disk/{free}K", typed, free=free * KB, **more)
    for size in LARGEST:
        yield case(f"largest_file/{size}K", typed, file=size * KB, **more)
    for megabytes in (300, 400, 500, 600, 1000, 2000):
        yield case(f"memory/{megabytes}M", words("photos/gear/test"), memory=megabytes * MB, codes=(0, 1))
        yield case(f"memory_large/{megabytes}M", words(), memory=megabytes * MB, codes=(1,), prepare=large,
                   unjudged=("000.png",), errors=1)  # fmt: skip
        yield case(f"memory_threads/{megabytes}M", (*words("photos/gear/test"), "--threads", "64", "--at_once", "64"),
                   memory=megabytes * MB, codes=(0, 1))  # fmt: skip
