"""The tables of a comparison, and which method and network it would choose."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anomaly.commands.compare_runs import Row
from anomaly.run.files import begins, csv_text, require_own, write_json, write_text
from anomaly.show.report import page
from anomaly.show.tables import RANDOM_MARK, number

CLOSE = 0.005  # of AUROC: what lies nearer to the best is not told from it
ONE_RUN = 1.3  # times a time: what a single run, beside other work, does not tell from it
MEAN = "mean"
HEAD = "# Comparison\n"
COLUMNS = (
    "method",
    "backbone",
    "image AUROC",
    "pixel AUROC",
    "AUPRO",
    "missed",
    "false alarms",
    "training, s",
    "a photograph, ms",
    "peak memory, GB",
    "state, MB",
)
CSV_COLUMNS = tuple(spec.name for spec in dataclasses.fields(Row))
STARTS = {
    "compare.md": HEAD,
    "compare.csv": ",".join(CSV_COLUMNS),
    "compare.json": '{\n  "comparison": ',
    "compare.html": page.HEAD,
}
ABOUT = (
    "Missed and false alarms are at the threshold, which comes from good photographs alone. Training: the whole "
    "process, its start included, up to the saved state; the first run of a network also makes its graph, which the "
    "later ones find. A photograph: judging alone, without decoding. Single runs on this machine: times differ a "
    "little from run to run."
)


@dataclass(frozen=True)
class Choice:
    rows: tuple  # one, or several that are level; none where nothing can be said
    sentence: str


def require_place(folder: Path) -> None:
    """Nothing that another program has written is written over."""
    for name, start in STARTS.items():
        require_own(folder / name, is_own=begins(folder / name, (start,)))


def write(found: dict, folder: Path) -> str:
    """`found`: the rows of each category. The files, and the Markdown, which is to be shown."""
    parts = with_choices(found)
    text = "\n".join([HEAD, *(section(name, rows, choice=choice) for name, rows, choice in parts), ABOUT, ""])
    write_text(folder / "compare.md", text)
    write_text(folder / "compare.csv", as_csv([row for _, rows, _ in parts for row in rows]))
    data = [
        {
            "category": name,
            "rows": [dataclasses.asdict(row) for row in rows],
            "choice": [[row.method, row.backbone] for row in choice.rows],
            "why": choice.sentence,
        }
        for name, rows, choice in parts
    ]
    write_json(folder / "compare.json", {"comparison": data})
    return text


def with_choices(found: dict) -> list:
    """Name, rows and Choice of each category, and of several their means."""
    parts = [(category, rows, choose(rows)) for category, rows in found.items()]
    if len(parts) > 1:
        together = means(found)
        parts.append((f"{MEAN} of {len(found)} categories", together, choose(together)))
    return parts


def section(category: str, rows: list, *, choice: Choice) -> str:
    lines = [f"## {category}\n", table(rows), "", choice.sentence]
    lines += views(rows)
    lines += [f"\n{remark}" for remark in dict.fromkeys(row.remark for row in rows if row.remark)]
    return "\n".join([*lines, ""])


def views(rows: list) -> list:
    """What each looks at, where that is not the same: figures of pixels are then of different places."""
    found: dict[str, list] = {}
    for row in rows:
        if row.view:
            found.setdefault(row.view, []).append(f"{row.method} with {row.backbone}")
    if len(found) < 2:
        return []
    told = "; ".join(f"{', '.join(names)}: {view}" for view, names in found.items())
    return [f"\nNot all look at the same part or size of the photographs ({told}); --resize and --crop can make it so."]


def table(rows: list) -> str:
    """Markdown whose columns stand below one another on a screen too, unless a run has failed."""
    good = [[row.method, row.backbone, *cells_of(row)] for row in rows if not row.reason]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *good)]
    lines = [_line(COLUMNS, widths), _line(["-" * width for width in widths], widths)]
    for row in rows:
        cells = [f"failed: {_plain(row.reason)}", *[""] * 8] if row.reason else cells_of(row)
        lines.append(_line([row.method, row.backbone, *cells], widths))
    return "\n".join(lines)


def _line(cells: Sequence, widths: list) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def cells_of(row: Row) -> list:
    return [
        number(row.img_auc),
        number(row.pixel_auc),
        number(row.aupro),
        "-" if row.missed is None else f"{row.missed} of {row.anomalous}",
        "-" if row.false_alarms is None else f"{row.false_alarms} of {row.good}",
        number(row.training_seconds, 1),
        number(row.seconds_per_image and 1000 * row.seconds_per_image, 1),
        number(row.peak_memory and row.peak_memory / 1e9, 2),
        number(row.state_size and row.state_size / 1e6, 1),
    ]


def as_csv(rows: list) -> str:
    return csv_text(CSV_COLUMNS, map(dataclasses.asdict, rows))


def means(found: dict) -> list:
    """One row for each method and network: means of figures, times and sizes, sums of photographs; the largest peak.

    Where one category has failed there is no mean, and where one lacks a figure the mean lacks it too.
    """
    pairs: dict[tuple, list] = {}
    for rows in found.values():
        for row in rows:
            pairs.setdefault((row.method, row.backbone), []).append(row)
    return [_mean(rows) for rows in pairs.values()]


def _mean(rows: list) -> Row:
    failed = [row.category for row in rows if row.reason]
    whole = Row(MEAN, rows[0].method, rows[0].backbone)
    if failed:
        return replace(whole, reason=f"in {', '.join(failed)}")

    def of(name: str, work: Callable) -> Any:
        values = [getattr(row, name) for row in rows]
        return None if None in values else work(values)

    averages = ("img_auc", "pixel_auc", "aupro", "training_seconds", "seconds_per_image")
    return replace(
        whole,
        **{name: of(name, lambda values: sum(values) / len(values)) for name in averages},
        **{name: of(name, sum) for name in ("missed", "anomalous", "false_alarms", "good")},
        peak_memory=of("peak_memory", max),
        state_size=of("state_size", lambda values: round(sum(values) / len(values))),
        view=rows[0].view,
        random_backbone=any(row.random_backbone for row in rows),
        remark="; ".join(dict.fromkeys(row.remark for row in rows if row.remark)),
    )


def choose(rows: list) -> Choice:
    """Of those within CLOSE of the best image AUROC, and of these within CLOSE of their best pixel AUROC where there
    are masks, those with the fewest missed and false alarms, and of these the fastest; what is then equal stays level.

    A figure that any of those that are left lacks decides nothing.
    """
    left = [row for row in rows if not row.reason]
    if not left:
        return Choice((), "No choice: every run failed.")
    if any(row.random_backbone for row in left):
        return by_time(left, because=f"{RANDOM_MARK}, so only times are compared")
    if not all(row.test_images for row in left):
        return by_time(left, because="There are no test images, so only times are compared")
    steps = []
    for name, title in (("img_auc", "image AUROC"), ("pixel_auc", "pixel AUROC")):
        if known(left, name):
            best, before = max(getattr(row, name) for row in left), left
            left = [row for row in left if getattr(row, name) >= best - CLOSE - 1e-12]
            steps.append(f"within {CLOSE} of the best {title} ({number(best)}): {len(left)} of {len(before)}")
    if known(left, "errors"):
        fewest, before = min(row.errors for row in left), left
        left = [row for row in left if row.errors == fewest]
        steps.append(f"with the fewest missed and false alarms ({fewest}): {len(left)} of {len(before)}")
    return by_time(left, steps=steps or ["no figures tell them apart"])


def known(rows: list, name: str) -> bool:
    return all(getattr(row, name) is not None for row in rows)


def by_time(rows: list, *, steps: Sequence = (), because: str = "") -> Choice:
    """The fastest of these. `steps`: how they came to be left; `because`: why nothing but times is looked at."""
    name = "seconds_per_image" if known(rows, "seconds_per_image") else "training_seconds"
    unit = "ms a photograph" if name == "seconds_per_image" else "s to train"
    shown = [_shown(row, name) for row in rows]
    fastest = min(shown, key=float)
    left = tuple(row for row, text in zip(rows, shown) if text == fastest)
    near = [row for row, text in zip(rows, shown) if float(fastest) < float(text) <= ONE_RUN * float(fastest)]
    hint = f" Within 30 % of that time, which single runs do not tell apart: {named(near)}." if near else ""
    if because:
        verb = "is the fastest" if len(left) == 1 else "are level"
        return Choice(left, f"{because}: {named(left)} {verb}, {fastest} {unit}.{hint}")
    why = list(steps)
    if len(rows) > 1:
        why.append(f"{'the fastest' if len(left) == 1 else 'equally fast'}: {fastest} {unit}")
    level = "" if len(left) == 1 else ", which are level"
    return Choice(left, f"Choice: {named(left)}{level}. Why: {'; of these '.join(why)}.{hint}")


def named(rows: Sequence) -> str:
    return " and ".join(f"{row.method} with {row.backbone}" for row in rows)


def _shown(row: Row, name: str) -> str:
    """As the table shows it: what looks equal there is equal."""
    value = getattr(row, name)
    return "inf" if value is None else number(1000 * value if name == "seconds_per_image" else value, 1)
