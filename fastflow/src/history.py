"""The course of training: loss.csv and a curve to look at."""

from pathlib import Path

import cv2
import numpy as np

from anomaly.data.images import write_image
from anomaly.run.files import write_text
from anomaly.show.lettering import write

FIELDS = ("epoch", "loss", "held_out", "learning_rate", "seconds")
WIDTH, HEIGHT, MARGIN = 800, 400, 90
COLOURS = {"loss": (30, 90, 200), "held_out": (220, 120, 20)}


def write_csv(path: Path, rows: list) -> None:
    lines = [",".join(FIELDS)]
    lines += [",".join("" if row.get(name) is None else f"{row[name]:.8g}" for name in FIELDS) for row in rows]
    write_text(path, "\n".join(lines) + "\n")


def draw(path: Path, rows: list) -> None:
    """Loss and held-out likelihood over the epochs; the axis leaves the first few, very high values out."""
    curves = {name: [(row["epoch"], row[name]) for row in rows if row.get(name) is not None] for name in COLOURS}
    heights = [value for curve in curves.values() for _, value in curve]
    if len(rows) < 2:
        return
    low, high = min(heights), float(np.quantile(heights, 0.98))
    last = rows[-1]["epoch"]
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)

    def place(epoch, value):
        x = MARGIN + (WIDTH - 2 * MARGIN) * (epoch - 1) / max(last - 1, 1)
        y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (min(value, high) - low) / max(high - low, 1e-12)
        return int(x), int(y)

    cv2.rectangle(image, (MARGIN, MARGIN), (WIDTH - MARGIN, HEIGHT - MARGIN), (200, 200, 200), 1)
    for number, (name, curve) in enumerate(curves.items()):
        if curve:
            cv2.polylines(image, [np.array([place(*point) for point in curve])], False, COLOURS[name], 2, cv2.LINE_AA)
            write(image, name.replace("_", "-"), place=(MARGIN + 130 * number, 30), colour=COLOURS[name])
    for value in (low, high):
        write(image, f"{value:.4g}", place=(2, place(1, value)[1] + 4), colour=(0, 0, 0))
    write(image, "epoch 1", place=(MARGIN, HEIGHT - MARGIN + 20), colour=(0, 0, 0))
    write(image, str(last), place=(WIDTH - MARGIN - 20, HEIGHT - MARGIN + 20), colour=(0, 0, 0))
    write_image(path, image)
