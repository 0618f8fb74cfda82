"""What came out beside what was published, as Markdown, CSV and JSON.

No dates are in them, so that equal results make equal files.
"""

import csv
import io
import shlex
from pathlib import Path
from typing import NamedTuple, Optional

import yaml

from anomaly.run.files import write_json, write_text
from anomaly.show.tables import FIGURES, number, remarks
from benchmarks.jobs import METHODS, ONNX, Job, Settings, ordered, recorded

PUBLISHED = Path(__file__).with_name("published.yaml")
TITLES = dict(FIGURES)
OURS = ("img_auc", "pixel_auc", "aupro", "img_f1")
NOTE = "`-`: not known. Published means and means of differences are over the categories that have both figures."
COMPARED = ("img_auc", "pixel_auc")
COLUMNS = {
    "category": "category",
    **{key: TITLES[key] for key in OURS},
    "seconds": "seconds",
    "published_img_auc": "published image AUROC",
    "img_auc_difference": "difference",
    "published_pixel_auc": "published pixel AUROC",
    "pixel_auc_difference": "difference",
}


def published() -> dict:
    return yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))


def order() -> dict:
    """Method -> categories as its published table has them."""
    known = {method: tuple(found["zoo"]["tables"]["Ascend"]["categories"]) for method, found in published().items()}
    return {method: known.get(method, ()) for method in METHODS}


def difference(ours: Optional[float], theirs: Optional[float]) -> Optional[float]:
    return None if ours is None or theirs is None else ours - theirs


def row(category: str, figures: Optional[dict], seconds: Optional[float], known: dict) -> dict:
    """`known`: the published figures of the category, as far as there are any."""
    made = {"category": category, **{key: (figures or {}).get(key) for key in OURS}, "seconds": seconds}
    for key in COMPARED:
        made[f"published_{key}"] = known.get(key)
        made[f"{key}_difference"] = difference(made[key], known.get(key))
    return made


def average(values) -> Optional[float]:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def mean(rows: list) -> dict:
    """Of each figure of ours; of published ones and of differences over the categories that have both."""
    made = {"category": "mean", **{key: average(row[key] for row in rows) for key in (*OURS, "seconds")}}
    for key in COMPARED:
        both = [row for row in rows if row[f"{key}_difference"] is not None]
        for name in (f"published_{key}", f"{key}_difference"):
            made[name] = average(row[name] for row in both)
    return made


def cells(row: dict) -> list:
    """As they are printed."""
    texts = []
    for key, value in row.items():
        if key == "category":
            texts.append(value)
        elif key == "seconds":
            texts.append(number(value, 1))
        else:
            texts.append(f"{value:+.4f}" if key.endswith("_difference") and value is not None else number(value))
    return texts


class Entry(NamedTuple):
    category: str
    figures: Optional[dict]  # none: it failed, or was not run yet
    seconds: Optional[float]
    options: dict


def entries(settings: Settings, jobs: list, method: str) -> list[Entry]:
    """Those of this run, or of an earlier one where this one leaves the method alone."""
    mine = [job for job in jobs if job.method == method]
    if mine:
        return [Entry(job.category, job.figures, job.seconds if job.figures else None, job.options) for job in mine]
    found = dict(recorded(settings.results / method))
    made = {name: (known["results"], known["seconds"], known["options"]) for name, known in found.items()}
    return [Entry(name, *made[name]) for name in ordered(list(found), order()[method])]


def run_with(options: dict) -> str:
    """What another run would have to be given for the same figures."""
    if options.get("task") == ONNX:
        source = f"exported from {options.get('trained', '-')}"
    else:
        source = f"weights: {options.get('weights') or 'the default ones'}"
    given = shlex.join(options.get("flags", [])) or "none"
    return f"data set {options.get('dataset', '-')}; {source}; options: {given}"


def runs(found: list[Entry]) -> list:
    """A line for each way in which categories were run; of several it names the categories."""
    ways = {}
    for entry in found:
        if entry.figures:
            ways.setdefault(run_with(entry.options), []).append(entry.category)
    return [way if len(ways) == 1 else f"{', '.join(names)}: {way}" for way, names in ways.items()]


def section(method: str, target: str, found: list[Entry]) -> dict:
    """One method: its rows, their mean, what they are compared with and what has to be known of them."""
    reference = published().get(method)
    table, told = theirs(reference, target) if reference else ({}, "nothing of this method")
    rows = [row(name, figures, seconds, table.get(name, {})) for name, figures, seconds, _ in found]
    results = [entry.figures for entry in found if entry.figures]
    notes = remarks(results)
    if reference and any(entry.category in table for entry in found if entry.figures):
        notes += on_backbones(reference, {figures["backbone"].split()[0] for figures in results})
    return {
        "method": method,
        "run": runs(found),
        "published": told,
        "categories": rows,
        "mean": mean(rows),
        "remarks": notes,
    }


def theirs(reference: dict, target: str) -> tuple:
    """The published figures by category, and where they come from."""
    tables, source, backbone = (reference["zoo"][key] for key in ("tables", "source", "backbone"))
    table = tables.get(target, tables["Ascend"])
    elsewhere = "" if target in tables else f" (no figures of {target} were published)"
    return table["categories"], f"{source}; {backbone}, {table['machine']}{elsewhere}"


def on_backbones(reference: dict, used: set) -> list:
    """Whether the published table is of the same network, and what else was published for it."""
    theirs, notes = reference["zoo"]["backbone"], []
    for name in sorted(used - {theirs}):
        notes.append(f"backbone {name}; the published table is of {theirs}")
    for mean in reference["means"]:
        if mean["backbone"] in used:
            told = ", ".join(f"{TITLES[key]} {number(mean[key], 3)}" for key in OURS if key in mean)
            notes.append(f"published mean of the 15 categories, {mean['backbone']}, {mean['source']}: {told}")
    return notes


def sections(settings: Settings, jobs: list[Job]) -> list:
    found = {method: entries(settings, jobs, method) for method in METHODS}
    return [section(method, settings.target, rows) for method, rows in found.items() if rows]


def markdown(made: list, settings: Settings) -> str:
    exported = " of the models in ONNX" if settings.task == ONNX else ""
    lines = [f"# Full benchmark{exported} on {settings.target}", "", NOTE]
    for part in made:
        lines += ["", f"## {part['method']}"]
        for told in (*(f"Run: {way}" for way in part["run"]), f"Published: {part['published']}."):
            lines += ["", told]
        lines.append("")
        lines += [f"| {' | '.join(COLUMNS.values())} |", "|---" * len(COLUMNS) + "|"]
        lines += [f"| {' | '.join(cells(each))} |" for each in (*part["categories"], part["mean"])]
        for remark in part["remarks"]:
            lines += ["", remark]
    return "\n".join(lines) + "\n"


def comma_separated(made: list) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", *COLUMNS])
    for part in made:
        writer.writerows([part["method"], *cells(each)] for each in (*part["categories"], part["mean"]))
    return text.getvalue()


def save(settings: Settings, jobs: list) -> str:
    """Writes the three files; returns the Markdown."""
    made = sections(settings, jobs)
    text, folder = markdown(made, settings), settings.results
    write_text(folder / "results.md", text)
    write_text(folder / "results.csv", comma_separated(made))
    write_json(folder / "results.json", {"task": settings.task, "device_target": settings.target, "methods": made})
    return text
