"""results.md: medians, ratios, and how our own cost grows."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, Optional

from benchmarks.peers.plan import OURS, Case, compared, growth

NONE = "-"
MEGABYTE, GIGABYTE = 1e6, 1e9
NOTES = """\
Medians of whole processes; a ratio is ours divided by theirs, so below 1 is less here. All systems get the same
photographs, weights, layers, size and number of threads; whatever else is not named is each system's own default, but
that AnomaVision, which has none, gets batches of 8, and anomalib a process that decodes for each core. Training goes
from the start of the program to the figures of the test photographs. Evaluation is what that takes of it, decoding
and figures included, without loading. An epoch is its training steps alone: here 9 of 10 photographs, whose features
are kept (the rest choose the epoch), elsewhere all. The photograph is judged by a program that starts anew: here from
the state and from the exported ONNX, elsewhere each in its own way, so both stand beside the same figure. Memory is
that of a process and its children together. The backbone is part of the peers' states and of our ONNX, but not of our
state."""


def per_image(record: dict) -> Optional[float]:
    return 1000 * record["evaluation"] / record["images"] if record.get("images") else None


def median_epoch(record: dict) -> Optional[float]:
    return statistics.median(record["epochs"]) if record.get("epochs") else None


def on_disk(record: dict) -> Optional[float]:
    found = record.get("exported_bytes") or record.get("state_bytes")
    return found and found / MEGABYTE


def of(key: str, unit: float = 1.0) -> Callable[[dict], Optional[float]]:
    return lambda record: record[key] / unit if key in record else None


# (title, steps of which the first that tells it counts, what of its record, decimals, whether a ratio says anything)
MEASURES = (
    ("train and evaluate, s", ("train",), of("seconds"), 1, True),
    ("evaluation, ms an image", ("train",), per_image, 0, True),
    ("an epoch, s", ("train",), median_epoch, 1, True),
    ("one photograph from a cold start, s", ("photo",), of("seconds"), 2, True),
    ("the same, ours from ONNX, s", ("photo_onnx", "photo"), of("seconds"), 2, True),
    ("peak memory, training, GB", ("train",), of("memory", GIGABYTE), 2, True),
    ("peak memory, one photograph, GB", ("photo",), of("memory", GIGABYTE), 2, True),
    ("the same, ours from ONNX, GB", ("photo_onnx", "photo"), of("memory", GIGABYTE), 2, True),
    ("state on disk, MB", ("train",), of("state_bytes", MEGABYTE), 1, True),
    ("the same, our ONNX, MB", ("export", "train"), on_disk, 1, True),
    ("image AUROC", ("train",), of("img_auc"), 4, False),
)


class Measured:
    """Medians over the repeats of one system at one case."""

    def __init__(self, runs: dict, case: Case, system: str) -> None:
        place = f"{case.name}/{system}/"
        self.records = [steps for key, steps in sorted(runs.items()) if key.startswith(place) and steps]

    def value(self, steps: tuple, get: Callable) -> Optional[float]:
        values = []
        for record in self.records:
            found = (get(record[name]) for name in steps if "seconds" in record.get(name, {}))
            values += [value for value in found if value is not None][:1]
        return statistics.median(values) if values else None

    @property
    def only_trained(self) -> bool:
        return all("seconds" in record.get("train", {}) and len(record) == 1 for record in self.records)

    def told(self, what: str) -> dict[str, Any]:
        """Step -> why it `failed`, or the `limit` of seconds that it had."""
        steps = [item for record in self.records for item in record.items()]
        return {name: step[what] for name, step in steps if what in step}


def ratio(ours: Optional[float], theirs: Optional[float], *, at_least: Optional[float] = None) -> str:
    """`at_least`: what theirs had taken when it was ended."""
    if ours is None or not (theirs or at_least):
        return NONE
    return f"< {ours / at_least:.3g}" if theirs is None and at_least else f"{ours / (theirs or 1):.3g}"


def cells(measure: tuple, ours: Measured, theirs: list[Measured]) -> list[str]:
    title, steps, get, decimals, compared = measure
    row, mine = [title], ours.value(steps, get)
    for each in (ours, *theirs):
        value = each.value(steps, get)
        limit = each.told("limit").get("train") if "evaluate" in title else None
        row.append(f"{value:.{decimals}f}" if value is not None else f"more than {limit:g}" if limit else NONE)
        if each is not ours:
            row.append(ratio(mine, value, at_least=limit) if compared else "")
    return row


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def comparison(runs: dict, case: Case, peers: Sequence[str]) -> list[str]:
    measured = {name: found for name in (OURS, *peers) if (found := Measured(runs, case, name)).records}
    if OURS not in measured or (len(measured) == 1 and measured[OURS].only_trained):
        return []  # the tables of growth have all that is known
    names = [name for name in measured if name != OURS]
    ours, theirs = measured[OURS], [measured[name] for name in names]
    head = ["", OURS, *(word for name in names for word in (name, "ratio"))]
    rows = [cells(measure, ours, theirs) for measure in MEASURES]
    shown = [row for row in rows if any(cell not in (NONE, "") for cell in row[1:])]
    lines = ["", f"## {case.label}, {case.network}, side {case.side}", "", line(head), "|---" * len(head) + "|"]
    lines += map(line, shown)
    for name, each in measured.items():
        lines += failures(name, each)
    return lines


def failures(name: str, measured: Measured) -> list[str]:
    return [text for step, why in measured.told("failed").items() for text in ("", f"{name} failed in {step}: {why}")]


def grown(runs: dict, title: str, cases: list[Case]) -> list[str]:
    """Our cost at each case, and the time as a multiple of the first's."""
    known = [(case, one) for case in cases if (one := Measured(runs, case, OURS)).records]
    if len(known) < 2:
        return []
    found = [each for _, each in known]
    told = [measure for measure in MEASURES if measure[1] == ("train",)]
    measures = [measure for measure in told if any(cells(measure, each, [])[1] != NONE for each in found)]
    head = ["", *(measure[0] for measure in measures), "times the first"]
    lines = ["", f"## How our cost grows with the {title}", "", line(head), "|---" * len(head) + "|"]
    first = found[0].value(("train",), of("seconds"))
    for case, each in known:
        row = [cells(measure, each, [])[1] for measure in measures]
        lines.append(line([stage(title, case), *row, ratio(each.value(("train",), of("seconds")), first)]))
    return lines


def stage(title: str, case: Case) -> str:
    if title.startswith("coreset"):
        return f"{100 * case.ratio:g} %"
    if title.startswith("side"):
        return str(case.side)
    return "all" if case.part == 1 else f"1 of {case.part}"


def left_out(runs: dict, names: Sequence[str]) -> list[str]:
    """What a whole run has beyond what was run so far; `names`: of the peers."""
    started = [key.split("/") for key, steps in runs.items() if steps]
    systems, cases = {each[1] for each in started}, {each[0] for each in started}
    missing = [name for name in names if name not in systems]
    missing += [case.name for case in compared(False) if case.name not in cases]
    for title, wanted in growth(False).items():
        values = [stage(title, case) for case in wanted if case.name not in cases]
        missing += [f"growth with the {title}: {', '.join(values)}"] if values else []
    return missing


def markdown(found: dict, names: Sequence[str]) -> str:
    """`found`: what results.json holds, of this run and of those before it."""
    runs = found["runs"]
    lines = ["# Benchmark against other systems", "", NOTES, ""]
    for title, known in found["about"].items():
        told = ", ".join(f"{key} {value}" for key, value in known.items()) if isinstance(known, dict) else str(known)
        lines.append(f"- {title}: {told}")
    for name, why in found["unavailable"].items():
        lines.append(f"- {name} is not compared: {why}")
    missing = left_out(runs, names)
    if missing:
        lines.append(f"- left out: {'; '.join(missing)}")
    for case in compared(False):
        lines += comparison(runs, case, names)
    for title, cases in growth(False).items():
        lines += grown(runs, title, cases)
    return "\n".join(lines) + "\n"
