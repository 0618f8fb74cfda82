"""Damaged states, descriptions of models and arrays, as somebody would damage them who makes the checksums fit."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from case import ANY, MAYBE, Case, refused
from world import CPU

from families.images import predict

HUGE = 10**400
DEEP = "deep"  # stands for a list in a list, and so on
# What may stand in the place of any value.
VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "words": "words",
    "newline": "a\nb",
    "path": "../../../etc/passwd",
    "negative": -1,
    "huge": HUGE,
    "not_a_number": float("nan"),
    "infinite": float("inf"),
    "list": [],
    "nested": [[[{}]]],
    "object": {},
    "words_in_a_list": ["words", None],
    "many": list(range(2000)),
    "deep": DEEP,
}
KEYS = ("format_version", "method", "backbone", "random_backbone", "fingerprint", "good_scores", "good_peaks",
        "good_names", "options", "config", "files", "details", "runs_on")  # fmt: skip
OLD = ("method", "backbone", "random_backbone", "fingerprint", "good_scores", "good_peaks", "files", "details")


def text_of(record: Any) -> str:
    return json.dumps(record).replace(json.dumps(DEEP), "[" * 5000 + "]" * 5000)


def sealed(record: dict) -> dict:
    """With the checksum of what it says, where there is one."""
    kept = {key: value for key, value in record.items() if key != "checksum"}
    try:
        content = json.dumps(kept, sort_keys=True, ensure_ascii=True).encode()
    except ValueError:
        return kept
    return {**kept, "checksum": hashlib.sha256(content).hexdigest()} if "checksum" in record else kept


def edit(where: str, change: Callable[[dict], Any], place: Path) -> None:
    path = place / where
    record = json.loads(path.read_text())
    made = change(record)
    record = sealed(record if made is None else made)
    path.write_text(text_of(record))


def edit_sealed(where: str, change: Callable[[dict], Any], place: Path) -> None:
    """The description of a model, with a checksum that fits what it says now."""
    path, blank = place / where, "0" * 64
    record = {
        "checksum": blank,
        **{key: each for key, each in json.loads(path.read_text()).items() if key != "checksum"},
    }
    made = change(record)
    text = text_of(record if made is None else made)
    path.write_text(text.replace(blank, hashlib.sha256(text.encode()).hexdigest(), 1))


def without(key: str, record: dict) -> None:
    inner, last = reach(record, key)
    del inner[last]


def with_value(key: str, value: Any, record: dict) -> None:
    inner, last = reach(record, key)
    inner[last] = value


def reach(record: Any, key: str) -> tuple:
    *above, last = key.split(".")
    for name in above:
        record = record[name]
    return record, last


def changes(key: str) -> Iterator[tuple]:
    yield "removed", partial(without, key)
    for name, value in VALUES.items():
        yield name, partial(with_value, key, value)


def cases(methods: tuple) -> Iterator[Case]:
    yield from of_states(methods)
    yield from of_models(methods)
    yield from of_arrays(methods)
    yield from of_whole_files(methods)


def judged_alike(name: str, words: tuple, part: str, where: str, change: Callable, **more: Any) -> Case:
    """Refused in one line, or the verdicts are those of before."""
    prepare = partial(edit, where, change)
    needs = ("photos", part)
    return Case(name, words, codes=(0, 1, 2), needs=needs, prepare=prepare, errors=ANY, same=part, **more)


def wholes(method: str) -> dict:
    """Part -> the command whose verdicts are compared."""
    base = predict(method)
    old = tuple(f"old/{method}" if word == f"out/{method}" else word for word in base)
    return {f"out/{method}": base, f"old/{method}": old, f"models/{method}": modelled(method)}


def modelled(method: str) -> tuple:
    return ("predict", method, "--model_path", f"models/{method}.onnx", "--output_dir", "out", "--no_pictures",
            "--image_path", "photos/gear/test/good", *CPU)  # fmt: skip


def of_states(methods: tuple) -> Iterator[Case]:
    for method in methods:
        for kind, keys in (("out", KEYS), ("old", OLD)):
            where = f"{kind}/{method}/gear/state.json"
            words = wholes(method)[f"{kind}/{method}"]
            for key in keys:
                few = kind == "old" or method != methods[0]
                for name, change in changes(key):
                    if few and name not in ("removed", "none", "words", "huge", "not_a_number", "list"):
                        continue
                    yield judged_alike(
                        f"records/{kind}_{method}/{key}={name}",
                        words,
                        f"{kind}/{method}",
                        where,
                        change,
                    )
    method = methods[0]
    state = ("--output_dir", f"out/{method}", "--category", "gear")
    others = {
        "eval": ("eval", method, *state, "--dataset_path", "photos", *CPU),
        "export": ("export", method, *state, "--file_format", "ONNX", *CPU),
        "threshold": ("threshold", f"out/{method}/gear", "--false_alarm_rate", "0.1"),
        "watch": ("watch", "photos/gear/test", "--model", f"out/{method}/gear", "--results", "out/r.csv", "--once",
                  "--interval", "0.02"),
    }  # fmt: skip
    for command, words in others.items():
        for number, key in enumerate(KEYS):
            name, change = list(changes(key))[(number * 3) % len(VALUES)]
            yield Case(
                f"records/{command}/{key}={name}",
                words,
                codes=(0, 1, 2),
                needs=("photos", f"out/{method}"),
                prepare=partial(edit, f"out/{method}/gear/state.json", change),
                errors=ANY,
            )


MODEL = ("format_version", "backbone", "random_backbone", "input", "input.colour", "input.resize", "input.crop",
         "input.size", "input.batch_size", "method", "category", "precision", "remark", "outputs", "false_alarm_rate",
         "threshold_chosen", "threshold_source", "threshold", "unit", "pixel_threshold", "pixel_unit", "good_scores",
         "good_peaks", "good_names", "sha256")  # fmt: skip


# Other thresholds, and as good as any.
CHOICES = (("threshold", "none"), ("threshold", "negative"))


def of_models(methods: tuple) -> Iterator[Case]:
    method = methods[0]
    part = f"models/{method}"
    words = modelled(method)
    for key in MODEL:
        for name, change in changes(key):
            if (key, name) in CHOICES:
                continue
            yield judged_alike(f"records/model/{key}={name}", words, part, f"{part}.json", change)
            yield Case(
                f"records/model_sealed/{key}={name}",
                words,
                codes=(0, 1, 2),
                needs=("photos", part),
                prepare=partial(edit_sealed, f"{part}.json", change),
                errors=ANY,
            )
    tiny = {
        "watch": ("watch", "photos/gear/test", "--model", "tiny/part.onnx", "--results", "out/r.csv", "--once",
                  "--interval", "0.02"),
        "threshold": ("threshold", "tiny/part.onnx", "--false_alarm_rate", "0.1"),
        "preprocess": ("preprocess", "patchcore", "--dataset_path", "photos", "--category", "gear", "--output_dir",
                       "out/sent", "--model_path", "tiny/part.onnx"),
    }  # fmt: skip
    for command, typed in tiny.items():
        for number, key in enumerate(MODEL):
            if key in ("precision", "outputs"):  # which this model has not
                continue
            for step in (0, 7):
                name, change = list(changes(key))[(number * 3 + step) % len(VALUES)]
                yield Case(
                    f"records/{command}_tiny/{key}={name}",
                    typed,
                    codes=(0, 1, 2),
                    needs=("photos", "tiny/part"),
                    prepare=partial(edit, "tiny/part.json", change),
                    writes=("out/*", "tiny/part.json"),
                    errors=ANY,
                )


def no_array(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if path.suffix == ".npy":
        array = np.load(path)
        made: dict[str, Any] = {
            "objects": np.array([{}, [], None], dtype=object),
            "not_numbers": np.full_like(array, np.nan, dtype=np.float32),
            "other_shape": array[..., :1],
            "flat": array.ravel(),
            "no_rows": array[:0],
            "words": np.array(["words"] * 4),
            "complex": array.astype(np.complex64),
        }
        if kind in made:
            with open(path, "wb") as file:
                np.save(file, made[kind], allow_pickle=True)
            return
    if kind == "huge_head":
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }"
        path.write_bytes(b"\x93NUMPY\x01\x00" + (len(head) + 1).to_bytes(2, "little") + head + b"\n")
        return
    path.write_bytes({
        "empty": b"",
        "cut": content[: len(content) // 2],
        "cut_at_the_end": content[:-1],
        "longer": content + b"more",
        "words": b"these are words",
        "pickle": b"\x80\x04cposix\nsystem\n(X\x04\x00\x00\x00exit\x85R.",
        "zeros": bytes(len(content)),
    }.get(kind, content[: len(content) // 3]))  # fmt: skip


ARRAYS = {
    "padim": ("gaussian/mean.npy", "gaussian/factor.npy", "gaussian/eigenvalues.npy"),
    "patchcore": ("embeddings/index.faiss", "embeddings/rows.npy"),
    "fastflow": ("fastflow_gear.ckpt",),
}
KINDS = ("empty", "cut", "cut_at_the_end", "longer", "words", "pickle", "zeros", "huge_head")
OF_NUMPY = ("objects", "not_numbers", "other_shape", "flat", "no_rows", "complex")


def spoil_array(folder: str, name: str, kind: str, *, fitting: bool, place: Path) -> None:
    path = place / folder / name
    no_array(path, kind)
    if fitting:
        record = json.loads((place / folder / "state.json").read_text())
        record["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (place / folder / "state.json").write_text(json.dumps(sealed(record)))


def of_arrays(methods: tuple) -> Iterator[Case]:
    """With and without a checksum that fits."""
    for method in methods:
        folder = f"out/{method}/gear"
        for name in ARRAYS[method]:
            for kind in (*KINDS, *(OF_NUMPY if name.endswith(".npy") else ())):
                if (name, kind) == ("embeddings/rows.npy", "flat"):  # as it is
                    continue
                prepare = partial(_spoil, folder, name, kind, False)
                more = {"needs": ("photos", f"out/{method}")}
                yield refused(f"records/array/{method}/{name}={kind}", predict(method), name, prepare=prepare, **more)
                yield Case(
                    f"records/array_sealed/{method}/{name}={kind}",
                    predict(method),
                    codes=(0, 1) if kind in ("longer", "zeros", "other_shape", "cut_at_the_end") else (1,),
                    says=(f"out/{method}/gear",),
                    prepare=partial(_spoil, folder, name, kind, True),
                    errors=ANY,
                    same="" if kind == "zeros" else f"out/{method}",
                    **more,
                )


def _spoil(folder: str, name: str, kind: str, fitting: bool, place: Path) -> None:
    spoil_array(folder, name, kind, fitting=fitting, place=place)


WHOLE_FILES = {
    "empty": b"",
    "words": b"these are words",
    "list": b"[]",
    "number": b"1",
    "null": b"null",
    "object": b"{}",
    "zeros": bytes(1000),
    "not_utf8": b'{"method": "\xff\xfe"}',
    "mark_first": b"\xef\xbb\xbf{}",
    "deep": b"[" * 100_000,
    "deep_objects": b'{"a":' * 50_000,
    "huge_number": b'{"method": ' + b"9" * 10_000 + b"}",
    "twice": b'{"method": "padim", "method": "padim"}',
    "cut": None,
    "folder": None,
    "pipe": None,
}


def replace_file(where: str, kind: str, place: Path) -> None:
    path, content = place / where, WHOLE_FILES[kind]
    if kind == "cut":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif content is None:
        path.unlink()
        path.mkdir() if kind == "folder" else os.mkfifo(path)
    else:
        path.write_bytes(content)


def of_whole_files(methods: tuple) -> Iterator[Case]:
    method = methods[0]
    out = f"out/{method}/gear/state.json"
    model = ("predict", method, "--model_path", f"models/{method}.onnx", "--output_dir", "out", "--image_path",
             "photos/gear/test", "--no_pictures", *CPU)  # fmt: skip
    back = ("postprocess", method, "--result_dir", "back", "--label_dir", "sent/label", "--category", "gear")
    state = ("--output_dir", f"out/{method}", "--category", "gear")
    commands: dict[str, tuple] = {
        "state": (predict(method), f"out/{method}", out),
        "threshold": (("threshold", f"out/{method}/gear"), f"out/{method}", out),
        "description": (model, f"models/{method}", f"models/{method}.json"),
        "onnx": (model, f"models/{method}", f"models/{method}.onnx"),
        "watch": (("watch", "photos", "--model", "tiny/part.onnx", "--results", "out/r.csv", "--once"), "tiny/part",
                  "tiny/part.json"),
        "serve": (("serve", "--model", "tiny/part.onnx", "--port", "0"), "tiny/part", "tiny/part.json"),
        "serve_onnx": (("serve", "--model", "tiny/part.onnx", "--port", "0"), "tiny/part", "tiny/part.onnx"),
        "options": (("eval", method, *state, "--dataset_path", "photos", "--config", "tiny/part.json"), f"out/{method}",
                    "tiny/part.json"),
        "index": (back, "sent", "sent/label/index.json"),
        "table": (back, "sent", "back/results.csv"),
        "map": (back, "sent", "back/000.bin"),
        "csv": (("check", "tiny/part.csv"), "tiny/part", "tiny/part.csv"),
        "weights": (("train", method, "--dataset_path", "photos", "--category", "gear", "--output_dir", "out/new",
                     "--backbone", "resnet18", "--pre_ckpt_path", "tiny/part.pth", *CPU), "tiny/part", "tiny/part.pth"),
        "tensors": (("train", method, "--dataset_path", "photos", "--category", "gear", "--output_dir", "out/new",
                     "--backbone", "resnet18", "--pre_ckpt_path", "tiny/part.safetensors", *CPU), "tiny/part",
                    "tiny/part.safetensors"),
        "checkpoint": (("train", method, "--dataset_path", "photos", "--category", "gear", "--output_dir", "out/new",
                        "--backbone", "resnet18", "--pre_ckpt_path", "tiny/part.ckpt", *CPU), "tiny/part",
                       "tiny/part.ckpt"),
    }  # fmt: skip
    for name, (words, part, where) in commands.items():
        for kind in WHOLE_FILES:
            empty_options = name == "options" and kind in ("empty", "null", "object", "list", "mark_first")
            yield Case(
                f"records/file_{name}/{kind}",
                words,
                codes=(0, 1, 2) if empty_options else (1, 2),
                says=(Path(where).name,),
                needs=("photos", part, "tiny/part", *((f"out/{method}",) if name == "options" else ())),
                prepare=partial(_file, where, kind),
                writes=("out/*", "back/*"),
                errors=MAYBE if name == "csv" else ANY,
                verdicts=0,
                seconds=20,
            )


def _file(where: str, kind: str, place: Path) -> None:
    if (place / "sent" / "back").is_dir():
        (place / "sent" / "back").rename(place / "back")
    (place / where).touch()
    replace_file(where, kind, place)
