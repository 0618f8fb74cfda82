"""A small data set in the MVTec AD layout, drawn by this program: a texture, an object, their defects, exact masks.

python -m anomaly.data.toydata data/toy [--seed 0] [--train 24] [--test 6] [--size 256]

A defect's mask is where the picture with it differs from the same picture without it, before noise is added.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from anomaly.data.images import write_image
from anomaly.run.errors import guarded
from anomaly.run.files import replacing_folder, require_own, require_writable
from anomaly.run.flags import Parser, checked
from anomaly.run.options import seed as seed_of
from anomaly.run.options import whole

CHANGED = 6  # grey levels
MOST, LARGEST_SIDE = 100_000, 8192  # photographs of a kind, and pixels
MARKER = ".drawn_by_anomaly"  # tells a category that may be drawn anew from one of the user's


def fabric(rng: np.random.Generator, size: int) -> np.ndarray:
    """Warp and weft at a random offset, slightly turned."""
    y, x = np.mgrid[:size, :size] * (256 / size)
    angle = rng.normal(0, 0.02)
    x, y = x * np.cos(angle) - y * np.sin(angle) + rng.uniform(0, 16), x * np.sin(angle) + y * np.cos(angle)
    weave = np.sin(x * np.pi / 8) * np.sin((y + rng.uniform(0, 16)) * np.pi / 8)
    return np.array([150, 130, 100]) + weave[..., None] * np.array([30, 28, 24]) + rng.normal(0, 3)


def gear(rng: np.random.Generator, size: int, *, missing: int = 0) -> np.ndarray:
    """A toothed wheel, at a random angle and light; `missing` teeth are cut off."""
    image = np.full((size, size, 3), (70, 75, 80), np.float32)
    centre = (np.array([size / 2, size / 2]) + rng.normal(0, size / 100, 2)).astype(int)
    light, turn = rng.uniform(0.92, 1.08), rng.uniform(0, 2 * np.pi)
    metal = tuple(float(c * light) for c in (175, 172, 160))
    for tooth in range(12 - missing):
        angle = turn + tooth * np.pi / 6
        tip = centre + size * 0.38 * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(image, tuple(int(c) for c in centre), tuple(tip.astype(int)), metal, size // 14, cv2.LINE_AA)
    centre = tuple(int(c) for c in centre)
    cv2.circle(image, centre, int(size * 0.29), metal, -1, cv2.LINE_AA)
    cv2.circle(image, centre, int(size * 0.2), tuple(c * 0.85 for c in metal), size // 50, cv2.LINE_AA)
    cv2.circle(image, centre, int(size * 0.08), (50, 50, 55), -1, cv2.LINE_AA)
    return image


def _place(rng: np.random.Generator, size: int, spread: float) -> tuple:
    """A point at most `spread` of the size away from the centre."""
    angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, spread)
    return int(size * (0.5 + radius * np.cos(angle))), int(size * (0.5 + radius * np.sin(angle)))


def blob(image, rng, *, size, colour, spread, strength=0.9):
    """An irregular spot of a colour."""
    mask = np.zeros((size, size), np.float32)
    x, y = _place(rng, size, spread)
    for _ in range(4):
        axes = tuple(int(a) for a in rng.uniform(size / 40, size / 18, 2))
        cv2.ellipse(mask, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, strength, -1, cv2.LINE_AA)
        x, y = x + rng.integers(-5, 6), y + rng.integers(-5, 6)
    return image * (1 - mask[..., None]) + np.array(colour) * mask[..., None]


def line(image, rng, *, size, colour, spread):
    """A scratch or a loose thread: a bent line."""
    x, y = _place(rng, size, spread)
    angle, points = rng.uniform(0, 2 * np.pi), []
    for step in range(6):
        points.append((int(x + np.cos(angle) * step * size / 24), int(y + np.sin(angle) * step * size / 24)))
        angle += rng.normal(0, 0.15)
    mask = np.zeros((size, size), np.float32)
    cv2.polylines(mask, [np.array(points)], False, 1.0, max(2, size // 90), cv2.LINE_AA)
    return image * (1 - mask[..., None]) + np.array(colour) * mask[..., None]


# name: (draws a good one, {defect: changes it})
CATEGORIES: dict[str, tuple] = {
    "fabric": (
        fabric,
        {
            "hole": lambda image, rng, size: blob(image, rng, size=size, colour=(25, 22, 20), spread=0.35),
            "stain": lambda image, rng, size: blob(
                image, rng, size=size, colour=(150, 60, 50), spread=0.35, strength=0.7
            ),
            "thread": lambda image, rng, size: line(image, rng, size=size, colour=(235, 230, 220), spread=0.3),
        },
    ),
    "gear": (
        gear,
        {
            "rust": lambda image, rng, size: blob(
                image, rng, size=size, colour=(140, 75, 35), spread=0.25, strength=0.8
            ),
            "scratch": lambda image, rng, size: line(image, rng, size=size, colour=(240, 240, 240), spread=0.15),
            "tooth_missing": None,  # drawn with a tooth less
        },
    ),
}


def render(category: str, defect: str, *, seed: list, size: int) -> tuple:
    """The same seed draws the same part; a defect changes some of it. Returns the picture and the mask."""
    draw, defects = CATEGORIES[category]
    image = clean = draw(np.random.default_rng(seed), size)
    if defect == "tooth_missing":
        image = gear(np.random.default_rng(seed), size, missing=1)
    elif defect != "good":
        image = defects[defect](clean, np.random.default_rng([*seed, 1]), size)
    mask = np.abs(image - clean).max(axis=2) > CHANGED
    noise = np.random.default_rng([*seed, 2]).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), mask


def make(
    dest: Path, *, seed: int = 0, train: int = 24, test: int = 6, size: int = 256, categories: tuple = tuple(CATEGORIES)
) -> None:
    for number, category in enumerate(categories):
        place = Path(dest) / category
        require_own(place, is_own=(place / MARKER).is_file())
        with replacing_folder(place) as folder:
            (folder / MARKER).touch()
            for part, defect, count in [
                ("train", "good", train),
                ("test", "good", test),
                *(("test", defect, test) for defect in CATEGORIES[category][1]),
            ]:
                for i in range(count):
                    key = [seed, number, sum(map(ord, part + defect)), i]
                    image, mask = render(category, defect, seed=key, size=size)
                    write_image(folder / part / defect / f"{i:03}.png", image)
                    if defect != "good":
                        write_image(folder / "ground_truth" / defect / f"{i:03}_mask.png", mask)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = Parser(str(__doc__))
    parser.add_argument("dest", type=Path, help="folder to write it to")
    parser.add_argument("--seed", type=checked(seed_of), default=0)
    parser.add_argument("--train", type=checked(whole(1, MOST)), default=24, help="good images to train on, a category")
    parser.add_argument("--test", type=checked(whole(0, MOST)), default=6, help="test images, a defect")
    parser.add_argument("--size", type=checked(whole(16, LARGEST_SIDE)), default=256, help="pixels a side")
    args = parser.parse_args(argv)
    require_writable(args.dest)
    make(args.dest, seed=args.seed, train=args.train, test=args.test, size=args.size)
    print(f"{', '.join(CATEGORIES)}: {args.dest}")


if __name__ == "__main__":
    sys.exit(guarded(main))
