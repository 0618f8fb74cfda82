"""Damaged and unusual photographs, for every command that reads any."""

import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from case import Case, refused
from PIL import Image
from world import CPU, PHOTOGRAPHS

GOOD = "photos/gear/test/good/000.png"


def whole(place: Path) -> bytes:
    return (place / GOOD).read_bytes()


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)


def encoded(suffix: str, image: np.ndarray, *settings: int) -> bytes:
    return cv2.imencode(suffix, image, list(settings))[1].tobytes()


def pillow(path: Path, kind: str, **more) -> None:
    Image.fromarray(picture()).convert(more.pop("mode", "RGB")).save(path, kind, **more)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, body: bytes = b"\0") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def changed(path: Path) -> None:
    """One bit in the pixels, which only the checksum of the part shows."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def replaced(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def special(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def bound(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


# Each spoils the file at a path, in its place. `replaced` keeps the name, so the suffix may say something else.
BAD: dict[str, Callable[[Path], None]] = {
    "empty": partial(replaced, content=b""),
    "words": partial(replaced, content=b"these are words"),
    "zeros": partial(replaced, content=bytes(5000)),
    "head_alone": partial(cut, share=0.01),
    "cut_at_a_tenth": partial(cut, share=0.1),
    "cut_in_half": partial(cut, share=0.5),
    "cut_near_the_end": partial(cut, share=0.99),
    "bit_changed": changed,
    "huge_by_its_head": partial(replaced, content=png(100_000, 100_000)),
    "largest_by_its_head": partial(replaced, content=png(2**31 - 1, 2**31 - 1)),
    "no_pixels": partial(replaced, content=png(0, 0)),
    "too_few_rows": partial(replaced, content=png(40, 40, bytes(121))),
    "floats": lambda path: replaced(path, encoded(".tiff", np.ones((40, 40), np.float32))),
    "jpeg_cut": lambda path: replaced(path, encoded(".jpg", picture())[:700]),
    "animation": lambda path: pillow(path, "WEBP", save_all=True, append_images=[Image.new("RGB", (40, 40))]),
    "svg": partial(replaced, content=b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    "html": partial(replaced, content=b"<html><script>alert(1)</script></html>"),
    "gzip": partial(replaced, content=b"\x1f\x8b" + bytes(50)),
    "pickle": partial(replaced, content=b"\x80\x04cposix\nsystem\n."),
}
# What is no file but has the name of one.
NO_FILE: dict[str, Callable[[Path], None]] = {
    "dangling_link": partial(special, make=lambda path: path.symlink_to("nowhere.png")),
    "link_to_itself": partial(special, make=lambda path: path.symlink_to(path.name)),
    "pipe": partial(special, make=os.mkfifo),
    "socket": partial(special, make=bound),
    "endless_device": partial(special, make=lambda path: path.symlink_to("/dev/zero")),
    "folder": partial(special, make=Path.mkdir),
}
# Unusual, and good.
FINE: dict[str, Callable[[Path], None]] = {
    "as_it_is": lambda path: None,
    "grey": lambda path: replaced(path, encoded(".png", picture()[..., 0])),
    "alpha": lambda path: replaced(path, encoded(".png", np.dstack([picture(), picture()[..., :1]]))),
    "sixteen_bits": lambda path: replaced(path, encoded(".png", picture().astype(np.uint16) * 256)),
    "one_pixel": lambda path: replaced(path, encoded(".png", picture()[:1, :1])),
    "very_wide": lambda path: replaced(path, encoded(".png", np.tile(picture()[:1], (1, 100, 1)))),
    "jpeg_called_png": lambda path: replaced(path, encoded(".jpg", picture())),
    "webp_called_png": lambda path: replaced(path, encoded(".webp", picture())),
    "palette": lambda path: pillow(path, "PNG", mode="P"),
    "two_colours": lambda path: pillow(path, "PNG", mode="1"),
    "interlaced": lambda path: replaced(path, encoded(".png", picture(), cv2.IMWRITE_PNG_COMPRESSION, 0)),
    "cmyk": lambda path: pillow(path, "JPEG", mode="CMYK"),
    "words_behind": lambda path: replaced(path, path.read_bytes() + b"words behind the end"),
    "link": lambda path: (path.rename(path.with_name("it.bin")), path.symlink_to("it.bin")),
}


def predict(method: str, more: tuple = ()) -> tuple:
    base = ("predict", method, "--output_dir", f"out/{method}", "--category", "gear", "--no_pictures")
    return (*base, "--image_path", "photos/gear/test/good", "--save_json", "out/verdicts.json", *CPU, *more)


def training(method: str) -> tuple:
    from commands import METHODS, RANDOM

    small = METHODS[method]
    return ("train", method, "--dataset_path", "photos", "--category", "gear", "--output_dir", "out/new", *small,
            *RANDOM, *CPU)  # fmt: skip


def spoilt(where: str, spoil: Callable[[Path], None], place: Path) -> None:
    spoil(place / where)


def cases(methods: tuple) -> Iterator[Case]:
    yield from predictions(methods)
    yield from trainings(methods)
    yield from tools()


def predictions(methods: tuple) -> Iterator[Case]:
    for method in methods:
        needs = ("photos", f"out/{method}")
        for name, spoil in {**BAD, **NO_FILE}.items():
            folder = name == "folder"  # which is looked into, and holds nothing
            yield Case(
                f"images/predict_{method}/{name}",
                predict(method),
                codes=(0,) if folder or name in SKIPPED else (1,),
                says=() if folder else ("000.png",),
                needs=needs,
                prepare=partial(spoilt, GOOD, spoil),
                verdicts=1,
                unjudged=("good/000.png",),
            )
        for name, spoil in FINE.items():
            verdicts = 2
            prepare = partial(spoilt, GOOD, spoil)
            yield Case(
                f"images/predict_{method}/{name}", predict(method), needs=needs, prepare=prepare, verdicts=verdicts
            )
        model = ("predict", method, "--model_path", f"models/{method}.onnx", "--output_dir", "out", *CPU)
        for name, spoil in {**BAD, **NO_FILE}.items():
            yield refused(
                f"images/predict_one_{method}/{name}",
                (*model, "--image_path", GOOD),
                *(("holds no image",) if name == "folder" else (GOOD,)),
                needs=("photos", f"models/{method}"),
                prepare=partial(spoilt, GOOD, spoil),
            )


# What is not a file is no photograph: passed over like other things that lie in a folder.
SKIPPED = ("dangling_link", "link_to_itself", "pipe", "socket", "endless_device")


def trainings(methods: tuple) -> Iterator[Case]:
    for number, (name, spoil) in enumerate({**BAD, **NO_FILE}.items()):
        method = methods[number % len(methods)]
        passed = name in SKIPPED or name == "folder"
        for part in ("train/good", "test/rust"):
            yield Case(
                f"images/train_{method}_{part.split('/')[0]}/{name}",
                training(method),
                codes=(0,) if passed else (1,),
                says=("000.png",),
                needs=("photos",),
                prepare=partial(spoilt, f"photos/gear/{part}/000.png", spoil),
                seconds=120,
            )
        mask = "photos/gear/ground_truth/rust/000_mask.png"
        yield Case(
            f"images/eval_{method}_mask/{name}",
            ("eval", method, "--dataset_path", "photos", "--category", "gear", "--output_dir", f"out/{method}", *CPU),
            codes=(0,) if passed else (1,),
            says=("000",),
            needs=("photos", f"out/{method}"),
            prepare=partial(spoilt, mask, spoil),
        )
        yield Case(
            f"images/preprocess_{method}/{name}",
            ("preprocess", method, "--dataset_path", "photos", "--category", "gear", "--output_dir", "out/sent",
             "--resize", "32", "--crop", "none"),
            codes=(0,) if passed else (1,),
            says=("000.png",),
            needs=("photos",),
            prepare=partial(spoilt, "photos/gear/test/scratch/000.png", spoil),
        )  # fmt: skip


def tools() -> Iterator[Case]:
    watch = ("watch", "photos/gear/test", "--model", "tiny/part.onnx", "--results", "out/verdicts.jsonl", "--once",
             "--interval", "0.02", "--patience", "0")  # fmt: skip
    for name, spoil in {**BAD, **NO_FILE}.items():
        prepare = partial(spoilt, GOOD, spoil)
        passed = name in SKIPPED or name == "folder"
        yield Case(
            f"images/check/{name}",
            ("check", "photos", "--category", "gear"),
            codes=(0, 1) if passed else (1,),
            errors=0,
            needs=("photos",),
            prepare=prepare,
        )
        yield Case(
            f"images/watch/{name}",
            watch,
            errors=0 if passed else 1,
            says=("000.png",),
            needs=("photos", "tiny/part"),
            prepare=prepare,
            verdicts=PHOTOGRAPHS - 1,
            unjudged=("good/000.png",),
        )
    for name, spoil in FINE.items():
        yield Case(
            f"images/watch/{name}",
            watch,
            needs=("photos", "tiny/part"),
            prepare=partial(spoilt, GOOD, spoil),
            verdicts=PHOTOGRAPHS,
        )
