"""Damaged folders, names that are no plain words, and files of somebody else where results would go."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from case import ANY, MAYBE, Case, Done, refused
from world import CPU, PHOTOGRAPHS

from families.images import predict, training

NAMES = {
    "newline": "a\nNORMAL     0.0001  b.png",
    "surrogate": os.fsdecode(b"a\xff\xfe.png"),
    "quotes": "a'b\"c.png",
    "script": "<script>alert(1)<%2fscript>.png",
    "dash": "-rf.png",
    "pattern": "a[0-9]*?.png",
    "umlauts": "Prüfstück №7 – 写真.png",
    "percent": "%s%n{0}{place}.png",
    "dollar": "$(touch x)`touch y`.png",
    "comma": "a,b;c.png",
    "space": " a b .png",
    "long": "x" * 230 + ".png",
    "terminal": "a\x1b[2J\x07.png",
    "right_to_left": "a\u202egnp.png",
    "separator": "a\u2028b.png",
    "upper": "A.PNG",
    "formula": "=cmd|'calc'.png",
}


def renamed(name: str, place: Path) -> None:
    (place / "photos/gear/test/good/000.png").rename(place / "photos/gear/test/good" / name)


def renamed_folder(name: str, place: Path) -> None:
    (place / "photos/gear/test/rust").rename(place / "photos/gear/test" / name)
    masks = place / "photos/gear/ground_truth"
    (masks / "rust").rename(masks / name)


def category(name: str, place: Path) -> None:
    (place / "photos/gear").rename(place / "photos" / name)


def watch(folder: str = "photos/gear/test") -> tuple:
    return ("watch", folder, "--model", "tiny/part.onnx", "--results", "out/verdicts.jsonl", "--once", "--interval",
            "0.02", "--patience", "0")  # fmt: skip


def evaluated(method: str, name: str = "gear") -> tuple:
    return ("eval", method, "--dataset_path", "photos", "--category", name, "--output_dir", f"out/{method}", *CPU)


def all_listed(number: int, place: Path, done: Done) -> str:
    """Each photograph has one line, and no line is of anything else."""
    lines = [line for line in done.out.split("\n") if line.startswith(("NORMAL", "ANOMALOUS"))]
    return "" if len(lines) == number else f"{len(lines)} lines of {number} photographs"


def no_script(place: Path, done: Done) -> str:
    for page in place.glob("out/*/gear/report.html"):
        if "<script>alert(1)" in page.read_text(encoding="utf-8", errors="replace"):
            return f"{page}: a name became a part of the page"
    return ""


def cases(methods: tuple) -> Iterator[Case]:
    yield from of_names(methods)
    yield from of_data(methods)
    yield from of_places(methods)
    yield from of_foreign(methods)
    yield from of_locks(methods)


def of_names(methods: tuple) -> Iterator[Case]:
    for number, (name, text) in enumerate(NAMES.items()):
        method = methods[number % len(methods)]
        needs = ("photos", f"out/{method}")
        prepare = partial(renamed, text)
        yield Case(f"folders/predict/{name}", predict(method), needs=needs, prepare=prepare, verdicts=2,
                   check=partial(all_listed, 2))  # fmt: skip
        drawn = tuple(word for word in predict(method) if word != "--no_pictures")
        yield Case(f"folders/predict_drawn/{name}", (*drawn, "--save_csv", "out/a.csv", "--save_masks"), needs=needs,
                   prepare=prepare, verdicts=2)  # fmt: skip
        yield Case(f"folders/watch/{name}", watch(), needs=("photos", "tiny/part"), prepare=prepare,
                   verdicts=PHOTOGRAPHS, check=partial(all_listed, PHOTOGRAPHS))  # fmt: skip
        yield Case(f"folders/check/{name}", ("check", "photos", "--category", "gear"), codes=(0, 1), errors=0,
                   needs=("photos",), prepare=prepare)  # fmt: skip
        yield Case(f"folders/eval/{name}", evaluated(method), needs=needs, prepare=prepare, check=no_script)
        yield Case(f"folders/eval_defect/{name}", evaluated(method), needs=needs, check=no_script,
                   prepare=partial(renamed_folder, text.replace(".png", "")))  # fmt: skip
        yield Case(f"folders/preprocess/{name}", ("preprocess", method, "--dataset_path", "photos", "--category",
                   "gear", "--output_dir", "out/sent", "--resize", "32", "--crop", "none"), codes=(0, 1),
                   needs=("photos",), prepare=prepare, errors=ANY)  # fmt: skip
    for name, text in {**NAMES, "report": "report.html", "results": "results.json", "hidden": ".gear"}.items():
        if text.startswith("-"):
            continue
        words = training(methods[0])
        words = tuple(text if word == "gear" else word for word in words)
        yield Case(f"folders/category/{name}", words, codes=(0, 1, 2), needs=("photos",), errors=ANY,
                   prepare=partial(category, text))  # fmt: skip
        everything = tuple("all" if word == "gear" else word for word in training(methods[0]))
        both = ("photos", "photos/gear:photos/zoo")
        yield Case(f"folders/categories/{name}", everything, codes=(0, 1, 2), needs=both, errors=ANY,
                   prepare=partial(category, text))  # fmt: skip


def removed(where: str, place: Path) -> None:
    path = place / where
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def emptied(where: str, place: Path) -> None:
    shutil.rmtree(place / where)
    (place / where).mkdir()


def file_instead(where: str, place: Path) -> None:
    removed(where, place)
    (place / where).write_text("words")


def link_to_nowhere(where: str, place: Path) -> None:
    removed(where, place)
    (place / where).symlink_to("nowhere")


def link_to_itself(where: str, place: Path) -> None:
    removed(where, place)
    (place / where).symlink_to(Path(where).name)


def link_upwards(where: str, place: Path) -> None:
    (place / where / "more").symlink_to("..")


def pipe_instead(where: str, place: Path) -> None:
    removed(where, place)
    os.mkfifo(place / where)


BROKEN: dict[str, Callable] = {
    "removed": removed,
    "emptied": emptied,
    "file": file_instead,
    "nowhere": link_to_nowhere,
    "itself": link_to_itself,
    "pipe": pipe_instead,
}


def of_data(methods: tuple) -> Iterator[Case]:
    method = methods[0]
    commands = {
        "train": (training(method), ()),
        "eval": (evaluated(method), (f"out/{method}",)),
        "check": (("check", "photos", "--category", "gear"), ()),
        "preprocess": (("preprocess", method, "--dataset_path", "photos", "--category", "gear", "--output_dir",
                        "out/sent", "--resize", "32", "--crop", "none"), ()),
        "watch": (watch("photos"), ("tiny/part",)),
        "predict": (("predict", method, "--output_dir", f"out/{method}", "--category", "gear", "--no_pictures",
                     "--image_path", "photos", *CPU), (f"out/{method}",)),
    }  # fmt: skip
    for command, (words, needs) in commands.items():
        for where in ("photos", "photos/gear", "photos/gear/train", "photos/gear/test", "photos/gear/train/good"):
            for name, breaks in BROKEN.items():
                yield Case(
                    f"folders/data_{command}/{where.replace('/', '.')}={name}",
                    words,
                    codes=(0, 1, 2) if command in ("watch", "predict") or "train/good" not in where else (0, 1),
                    needs=("photos", *needs),
                    prepare=partial(breaks, where),
                    errors=ANY if command != "check" else MAYBE,
                    seconds=30,
                )
        yield Case(f"folders/data_{command}/linked_upwards", words, codes=(0, 1), needs=("photos", *needs),
                   prepare=partial(link_upwards, "photos/gear/test"), seconds=30,
                   errors=ANY if command != "check" else MAYBE)  # fmt: skip


def of_places(methods: tuple) -> Iterator[Case]:
    """Folders of results that lie where none can."""
    method = methods[0]
    for name, place in {
        "file": "photos/gear/test/good/000.png",
        "below_a_file": "photos/gear/test/good/000.png/deeper",
        "device": "/dev/null",
        "proc": "/proc/nowhere",
        "long": "x" * 300,
        "nul_device": "/dev/full",
    }.items():
        base = tuple(word for word in training(method) if word != "out/new")
        words = (*base[: base.index("--output_dir") + 1], place, *base[base.index("--output_dir") + 1 :])
        yield refused(f"folders/place_train/{name}", words, needs=("photos",), code=1)
        toys = ("toydata", place, "--train", "1", "--test", "1", "--size", "32")
        yield refused(f"folders/place_toydata/{name}", toys, needs=("photos",))
        yield refused(f"folders/place_watch/{name}", ("watch", "photos", "--model", "tiny/part.onnx", "--results",
                      f"{place}/a.csv", "--once"), needs=("photos", "tiny/part"))  # fmt: skip
        yield refused(f"folders/place_check/{name}", ("check", "photos", "--category", "gear", "--json", f"{place}/a"),
                      needs=("photos",))  # fmt: skip
        yield Case(f"folders/place_csv/{name}", (*predict(method), "--save_csv", f"{place}/a"), codes=(1,),
                   needs=("photos", f"out/{method}"))  # fmt: skip


MINE = "mine, and of nobody else"


def put(where: str, kind: str, place: Path) -> None:
    path = place / where
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "file":
        path.write_text(MINE)
    elif kind == "folder":
        path.mkdir()
        (path / "mine.txt").write_text(MINE)
    else:
        (place / "elsewhere").mkdir()
        (place / "elsewhere" / "mine.txt").write_text(MINE)
        path.symlink_to(place / "elsewhere" / ("mine.txt" if kind == "link_to_file" else ""))


def still_mine(where: str, kind: str, place: Path, done: Done) -> str:
    path = place / where
    if kind == "file":
        kept = path.is_file() and path.read_text() == MINE
    elif kind == "folder":
        kept = (path / "mine.txt").is_file() and (path / "mine.txt").read_text() == MINE
    else:
        kept = (place / "elsewhere" / "mine.txt").read_text() == MINE
    return "" if kept else f"{where}: what was there is gone"


def of_foreign(methods: tuple) -> Iterator[Case]:
    method = methods[0]
    state = f"out/{method}"
    commands = {
        "eval": (evaluated(method), state, ("results.json", "results.csv", "report.html", "sample", "eval.log")),
        "train": (tuple(state if word == "out/new" else word for word in training(method)), f"old/{method}",
                  ("results.json", "results.csv", "report.html", "sample", "train.log", "state.json", "config.yaml")),
        "export": (("export", method, "--output_dir", state, "--category", "gear", "--file_format", "ONNX", *CPU),
                   state, (f"{method}_gear.onnx", f"{method}_gear.json")),
        "predict": (tuple(word for word in predict(method) if word != "--no_pictures"), state, ("predict/000.png",)),
    }  # fmt: skip
    for command, (words, need, names) in commands.items():
        for name in names:
            for kind in ("file", "folder", "link_to_file", "link_to_folder"):
                where = f"{state}/gear/{name}"
                harmless = (command, name, kind) in KEPT_ALL_THE_SAME
                yield Case(
                    f"folders/foreign_{command}/{name}={kind}",
                    words,
                    codes=(0, 1) if harmless or command in ("predict", "export") else (1,),
                    says=(name.split("/")[0],),
                    needs=("photos", need),
                    prepare=partial(put, where, kind),
                    check=partial(still_mine, where, kind),
                    errors=ANY,
                )


KEPT_ALL_THE_SAME = (("eval", "sample", "link_to_folder"),)


HELD: list = []  # files, open as long as the process of a case lives


def held(where: str, place: Path) -> None:
    """As if process 4242 were at work there."""
    path = place / where
    path.parent.mkdir(parents=True, exist_ok=True)
    HELD.append(open(path, "a+"))  # noqa: SIM115  for as long
    HELD[-1].write("" if path.stat().st_size else "4242")
    HELD[-1].flush()
    fcntl.flock(HELD[-1], fcntl.LOCK_EX)


def of_locks(methods: tuple) -> Iterator[Case]:
    """Two at once: the second is refused and told who the first is; one that only reads goes on."""
    for method in methods:
        state, folder = f"out/{method}", f"out/{method}/gear"
        again = tuple(state if word == "out/new" else word for word in training(method))
        export = ("export", method, "--output_dir", state, "--category", "gear", "--file_format", "ONNX", *CPU)
        threshold = ("threshold", folder, "--false_alarm_rate", "0.2")
        both = ("--methods", method, "--backbones", "resnet18", "--resize", "32", "--crop", "none")
        compare = ("compare", "--dataset_path", "photos", "--category", "gear", "--output_dir", "out/compare", *both,
                   "--pre_ckpt_path", "random", *CPU)  # fmt: skip
        preprocess = ("preprocess", method, "--dataset_path", "photos", "--category", "gear", "--output_dir",
                      "out/sent", "--resize", "32", "--crop", "none")  # fmt: skip
        for name, words, lock in (
            ("train", again, f"{folder}/.lock"),
            ("first_train", training(method), "out/new/gear/.lock"),
            ("eval", evaluated(method), f"{folder}/.lock"),
            ("export", export, f"{folder}/.export.lock"),
            ("threshold", threshold, f"{folder}/.saving.lock"),
            ("compare", compare, "out/compare/.lock"),
            ("preprocess", preprocess, "out/sent/.lock"),
        ):
            yield refused(f"folders/second_{name}/{method}", words, "process 4242", needs=("photos", state),
                          prepare=partial(held, lock))  # fmt: skip
        for name, words in (("export", export), ("predict", predict(method))):
            yield Case(f"folders/beside_a_training_{name}/{method}", words, needs=("photos", state),
                       prepare=partial(held, f"{folder}/.lock"))  # fmt: skip
    back = ("postprocess", "padim", "--result_dir", "back", "--label_dir", "sent/label", "--category", "gear")
    yield refused("folders/second_postprocess", back, "process 4242", needs=("sent", "sent/back:back"),
                  prepare=partial(held, "back/.lock"), writes=())  # fmt: skip
    yield refused("folders/second_watch", watch(), "another watch", needs=("photos", "tiny/part"),
                  prepare=partial(held_results, "out/verdicts.jsonl"))  # fmt: skip


def held_results(where: str, place: Path) -> None:
    held(where, place)
    (place / where).write_text("")
