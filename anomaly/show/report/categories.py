"""The page of all categories in a folder of results: their figures, and a picture of each."""

from pathlib import Path
from typing import Optional

import cv2

from anomaly.data.images import encode, read_image
from anomaly.run.errors import DataError
from anomaly.run.files import begins, read_json
from anomaly.show import tables
from anomaly.show.report import overview, page
from anomaly.show.report.overview import Figure, Link, Table

WIDEST = 1180  # pixels of a picture, which a browser shows at this width
LAST = ("good", "train")  # folders of pictures that show no defect
KEYS = {"method", "backbone", "random_backbone", "remark", "threshold", "verdicts", "images"}


def is_there(output: Path) -> bool:
    return begins(output / page.NAME, (page.HEAD,)) and (output / page.NAME).is_file()


def write(output: Path, found: dict, *, failed: dict) -> None:
    """`found`: the results of this run; `failed`: why there are none of others. Those of earlier runs are shown too."""
    found = {**{name: each for name, each in earlier(output).items() if name not in failed}, **found}
    columns = ("category", *(title for _, title in tables.FIGURES), "false alarms", "missed")
    everything: list[dict] = list(found.values())
    rows: list = []
    for name, results in found.items():
        figures = [tables.number(results[key]) for key, _ in tables.FIGURES]
        rows.append([Link(name, output / name), *figures, *verdicts(results)])
    if len(found) > 1:
        rows.append(["mean", *(mean([each[key] for each in everything]) for key, _ in tables.FIGURES), "", ""])
    rows += [[name, f"failed: {reason}"] for name, reason in failed.items()]
    table = Table("Categories", columns, rows, warnings=tables.remarks(everything), figures=pictures(output, found))
    methods = dict.fromkeys(f"{results['method']} with {results['backbone']}" for results in everything)
    about = "False alarms and missed at the threshold. A category's name leads to its report."
    overview.write(output / page.NAME, ", ".join(methods), contents=[table], about=about)


def earlier(output: Path) -> dict:
    """Results that lie in the folders of an output folder, as far as they hold what the table shows."""
    found = {}
    for path in sorted(output.glob("*/results.json")):
        try:
            results = read_json(path)
        except DataError:
            continue
        if isinstance(results, dict) and results.keys() >= KEYS and all(key in results for key, _ in tables.FIGURES):
            found[path.parent.name] = results
    return found


def verdicts(results: dict) -> list:
    if results["threshold"] is None:
        return ["-", "-"]
    known = results["verdicts"]
    return [f"{known['false_alarms']} of {known['good']}", f"{known['missed']} of {known['anomalous']}"]


def mean(values: list) -> str:
    known = [value for value in values if value is not None]
    return tables.number(sum(known) / len(known) if known else None)


def pictures(output: Path, names: dict) -> list:
    shown = ((name, picture(output / name / "sample")) for name in names)
    return [Figure(name, image) for name, image in shown if image]


def picture(sample: Path) -> Optional[bytes]:
    """A JPEG of the first picture of a defect, or of a good photograph where there is none."""
    drawn = sorted(sample.glob("*/*.png"), key=lambda path: (path.parent.name in LAST, path))
    try:
        image = read_image(drawn[0]) if drawn else None
    except DataError:  # edited, or removed meanwhile
        image = None
    if image is None:
        return None
    height, width = image.shape[:2]
    part = min(1.0, WIDEST / width)
    size = (round(width * part), max(1, round(height * part)))
    return encode(cv2.resize(image, size, interpolation=cv2.INTER_AREA), ".jpg")
