"""What takes in what was there before: --update, --resume, ensembles, comparisons begun before; and bundles."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from case import ANY, Case, Done, nothing, refused, snapshot
from world import CPU, ROOT

from families.folders import MINE
from families.images import BAD, NO_FILE, spoilt, training
from families.limits import FREE, KB, whole_state
from families.records import ARRAYS, KEYS, VALUES, changes, edit, no_array

ENSEMBLE, BEGUN = "ensemble/padim", "begun/fastflow"  # parts of the world
KINDS = ("empty", "cut", "cut_at_the_end", "longer", "words", "pickle", "zeros", "gone")


def spoil(where: str, kind: str, place: Path) -> None:
    if kind == "gone":
        (place / where).unlink()
    elif kind != "as_it_is":
        no_array(place / where, kind)


def update(method: str) -> tuple:
    return ("train", method, "--update", "--dataset_path", "photos", "--category", "gear", "--output_dir",
            f"out/{method}", "--pre_ckpt_path", "random", *CPU)  # fmt: skip


def joined(then: Callable[[Path], None], place: Path) -> None:
    """With a photograph that the training has not seen."""
    folder = place / "photos/gear"
    shutil.copy(folder / "test/good/001.png", folder / "train/good/new.png")
    then(place)


def ensemble(command: str) -> tuple:
    state = ("--output_dir", "ensemble/padim", "--category", "gear", "--pre_ckpt_path", "random", *CPU)
    more = {
        "predict": ("--image_path", "photos/gear/test/good", "--no_pictures", "--save_json", "out/verdicts.json"),
        "eval": ("--dataset_path", "photos"),
        "export": ("--file_format", "ONNX", "--file_name", "out/both.onnx"),
    }[command]
    return (command, "padim", *state, *more)


def cases(methods: tuple) -> Iterator[Case]:
    yield from of_updates(methods)
    yield from of_ensembles()
    yield from of_resuming()
    yield from of_comparisons()
    yield from of_bundles(methods)


def of_updates(methods: tuple) -> Iterator[Case]:
    for method in methods:
        state, needs = f"out/{method}/gear", ("photos", f"seen/{method}:out/{method}")
        for name in ARRAYS[method]:
            for kind in KINDS:
                yield refused(f"goes_on/update/{method}/{name}={kind}", update(method), Path(name).name, needs=needs,
                              prepare=partial(joined, partial(spoil, f"{state}/{name}", kind)))  # fmt: skip
        for number, key in enumerate(KEYS):
            name, change = list(changes(key))[(number * 5 + 1) % len(VALUES)]
            yield Case(f"goes_on/update/{method}/{key}={name}", update(method), codes=(0, 1, 2), errors=ANY,
                       needs=needs, prepare=partial(joined, partial(edit, f"{state}/state.json", change)))  # fmt: skip
        for free in FREE[::4]:
            yield Case(f"goes_on/update_disk/{method}/{free}K", update(method), codes=(0, 1), errors=ANY, needs=needs,
                       free=free * KB, says=("out/",), prepare=partial(joined, nothing),
                       check=partial(whole_state, state))  # fmt: skip
    for name, spoils in {**BAD, **NO_FILE}.items():
        passed = name in NO_FILE
        yield Case(f"goes_on/update_photograph/{name}", update(methods[0]), codes=(0,) if passed else (1,),
                   needs=("photos", f"seen/{methods[0]}:out/{methods[0]}"), says=("000.png",), errors=ANY,
                   prepare=partial(joined, partial(spoilt, "photos/gear/train/good/000.png", spoils)))  # fmt: skip


def of_ensembles() -> Iterator[Case]:
    needs = ("photos", ENSEMBLE)
    for command in ("predict", "eval", "export"):
        for name in ("state.json", *(f"member{n}/{each}" for n in (0, 1) for each in ("state.json", *ARRAYS["padim"]))):
            for kind in KINDS:
                if (name, kind) == ("state.json", "cut_at_the_end"):  # the end of a line
                    continue
                yield refused(f"goes_on/ensemble_{command}/{name}={kind}", ensemble(command), "ensemble/padim/gear",
                              needs=needs, prepare=partial(spoil, f"ensemble/padim/gear/{name}", kind),
                              writes=("out/*", "ensemble/*"))  # fmt: skip


def of_resuming() -> Iterator[Case]:
    typed = tuple("begun/fastflow" if word == "out/new" else word for word in training("fastflow"))
    for kind in (*KINDS, "as_it_is"):
        whole = kind in ("as_it_is", "gone", "longer")
        yield Case(f"goes_on/resume/{kind}", (*typed, "--num_epochs", "1", "--resume"), codes=(0,) if whole else (1,),
                   says=("training.npz",), needs=("photos", BEGUN), writes=("begun/*",),
                   prepare=partial(spoil, "begun/fastflow/gear/training.npz", kind))  # fmt: skip


def compare(*more: str) -> tuple:
    return ("compare", "--dataset_path", "photos", "--category", "gear", "--output_dir", "out/compare", "--methods",
            "padim", "--backbones", "resnet18", "--resize", "32", "--crop", "none", "--pre_ckpt_path", "random", *CPU,
            *more)  # fmt: skip


def foreign(where: str, place: Path) -> None:
    (place / where).parent.mkdir(parents=True, exist_ok=True)
    (place / where).write_text(MINE)


def of_comparisons() -> Iterator[Case]:
    """Their trainings are processes of their own."""
    yield Case("goes_on/compare/as_it_is", compare(), needs=("photos",))
    for name in ("cut_in_half", "words", "empty"):
        yield Case(f"goes_on/compare/{name}", compare(), codes=(1,), needs=("photos",), says=("failed",),
                   prepare=partial(spoilt, "photos/gear/train/good/000.png", BAD[name]))  # fmt: skip
    for name in ("compare.csv", "compare.json", "compare.html", "compare.md"):
        yield Case(f"goes_on/compare/foreign_{name}", compare(), codes=(0, 1), needs=("photos",), errors=ANY,
                   prepare=partial(foreign, f"out/compare/{name}"),
                   check=partial(_still, f"out/compare/{name}"))  # fmt: skip


def _still(where: str, place: Path, done: Done) -> str:
    return "" if (place / where).read_text() == MINE else f"{where}: what was there is gone"


def of_bundles(methods: tuple) -> Iterator[Case]:
    program = ("bash", str(ROOT / "scripts" / "bundle.sh"))
    method = methods[0]
    more: dict = {"program": program, "needs": ("photos",)}
    for name, (place, code) in {
        "file": ("photos/gear/test/good/000.png", 1),
        "below_a_file": ("photos/gear/test/good/000.png/deeper", 1),
        "not_empty": ("photos", 1),
        "proc": ("/proc/nowhere", 1),
        "long": ("x" * 300, 1),
        "inside": (str(ROOT / "output" / "bundle"), 1),
        "empty": ("", 2),
        "option": ("-x", 2),
    }.items():
        yield refused(f"goes_on/bundle/{name}", (method, place), "", code=code, verdicts=None, **more)
    for free in (0, 64, 512):
        yield Case(f"goes_on/bundle_disk/{free}K", (method, "out/bundle"), codes=(1,), free=free * KB, errors=None,
                   check=_no_part, **more)  # fmt: skip
    yield Case("goes_on/bundle/newline", (method, "out/a\nb"), **more)
    yield refused("goes_on/bundle/method", ("../padim", "out/bundle"), "METHOD", code=2, verdicts=None, **more)


def _no_part(place: Path, done: Done) -> str:
    left = [name for name in snapshot(place / "out") if name != "filler"]
    return f"left lying: {left[:3]}" if left else ""
