"""What files are turned into to see whether their readers keep their word: something that makes sense, or one line."""

import copy
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from commands import picture
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from anomaly.run.errors import DataError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))  # of each test; scripts/run_fuzz.sh says how many
# The few of an ordinary run are always the same ones.
settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")

# Values that JSON and YAML can hold.
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 2**31, 2**63, 10**400, 1e308, -1e-320])
texts = st.text(max_size=20) | st.sampled_from(["", "..", "/", "a/b", "\0", "\ud800", "x" * 5000, "<b>", "nan"])
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)

BYTES = (b"\0", b"\xff", b"\x80", b"\n", b'"', b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"%", b"{}")


def changed(content: bytes, seed: int) -> bytes:
    """A file with a few changes; the same seed makes the same."""
    chance, data = random.Random(seed), bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((1, 1, 4, 64))
        kind = chance.randrange(6)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + length] = chance.randbytes(length)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = chance.choice(BYTES)
        elif kind == 4:
            data[at:at] = data[at : at + length]  # twice
        else:
            del data[at:]
    return bytes(data)


def photographs() -> dict:
    """Small ones of every kind: name -> content of the file."""
    small, grey = picture(12, 10), picture(12, 10)[..., 0]
    deep, clear = small.astype(np.uint16) * 257, np.dstack([small, grey])
    restarts = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
    kinds = {"colour": small, "grey": grey, "deep": deep, "clear": clear, "floats": small.astype(np.float32)}
    suffixes = {".png": kinds.keys() - {"floats"}, ".tif": kinds, ".jpg": ("colour", "grey")}
    suffixes |= {".bmp": ("colour", "grey"), ".webp": ("colour", "clear")}
    found = {f"{kind}{suffix}": encoded(suffix, kinds[kind]) for suffix, of in suffixes.items() for kind in sorted(of)}
    return {**found, "restarts.jpg": encoded(".jpg", small, *restarts)}


def encoded(suffix: str, image: np.ndarray, *settings: int) -> bytes:
    return cv2.imencode(suffix, image, list(settings))[1].tobytes()


def files(samples: Sequence[bytes]) -> st.SearchStrategy:
    return st.builds(changed, st.sampled_from(samples), st.integers(0, 2**64))


def places(value: Any) -> list:
    """The way to each value in something like JSON; of a long list only to the first ones."""
    found: list = [()]
    steps: list = list(value) if isinstance(value, dict) else []
    steps += range(min(3, len(value))) if isinstance(value, list) else []
    for step in steps:
        found += [(step, *rest) for rest in places(value[step])]
    return found


@st.composite
def records(draw: Callable, sample: Any) -> Any:
    """Something like JSON with other values in one to three places, or without what was there."""
    made = copy.deepcopy(sample)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(made)[1:])) or (None,)
        at = made
        for step in way:
            at = at[step]
        if draw(st.booleans()) or isinstance(at, list):
            at[last] = draw(values)
        else:
            del at[last]
        if not isinstance(made, dict) or not made:
            break
    return made


def kept(read: Callable) -> Any:
    """What a reader gives; None where it refuses. A name with the end of a line in it is escaped where it is told."""
    try:
        return read()
    except DataError as error:
        assert str(error)
        return None
