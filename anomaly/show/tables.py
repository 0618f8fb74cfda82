"""Results as lines, tables and records."""

from typing import Optional

from anomaly.measure import rates
from anomaly.measure.calibration import UNKNOWN, Calibration, Scales
from anomaly.measure.evaluation import Evaluation
from anomaly.networks.registry import Backbone
from anomaly.run.files import csv_text

# Key in results.json, heading in a table.
FIGURES = (
    ("img_auc", "image AUROC"),
    ("pixel_auc", "pixel AUROC"),
    ("aupro", "AUPRO"),
    ("img_f1", "image F1"),
    ("pixel_f1", "pixel F1"),
    ("img_ap", "image AP"),
    ("pixel_ap", "pixel AP"),
)
RANDOM_MARK = "RANDOM BACKBONE (no pretrained weights): these figures say nothing about the method"


def about(method: str, category: str, *, backbone: Backbone, remark: str, scales: Scales, trained_on: int) -> dict:
    """What is known of the detector and the photographs of an evaluation. `trained_on`: images; 0: not known."""
    return {
        "method": method,
        "category": category,
        "backbone": backbone.label,
        "random_backbone": backbone.is_random,
        "remark": remark,
        "threshold": scales.image.threshold if scales.known else None,
        "false_alarm_rate": scales.false_alarm_rate,
        "train_images": trained_on or None,
    }


def record(evaluation: Evaluation, about: dict) -> dict:
    """For results.json."""
    keys = ("img_auc", "pixel_auc", "aupro", "img_f1", "img_f1_threshold", "pixel_f1", "pixel_f1_threshold")
    return {
        **about,
        **{key: getattr(evaluation, key) for key in (*keys, "img_ap", "pixel_ap")},
        "test_images": len(evaluation.images),
        "verdicts": evaluation.verdicts._asdict(),
        "images": [image._asdict() for image in evaluation.images],
    }


LONG = 1e9  # from here on numbers are written with an exponent
CSV_COLUMNS = ("name", "wrong", "verdict", "anomalous", "score", "normalised", "path")
CSV_HEADER = ",".join(CSV_COLUMNS)


def csv_of(results: dict) -> str:
    """The photographs of results.json as a table, the wrong ones first."""
    return csv_text(CSV_COLUMNS, results["images"])


def threshold(calibration: Calibration, images: tuple, *, scales: Scales) -> dict:
    """What the threshold costs, what it would cost elsewhere, and which good photographs decide it."""
    return {
        "threshold_chosen": str(scales.choice),
        "good_left_out": len(calibration.scores),
        "rates": [row._asdict() for row in rates.rates(calibration, images, scales=scales)],
        "deciding": [each._asdict() for each in rates.deciding(calibration, scales.choice)],
        "advice": rates.advice(calibration, scales.choice),
    }


def number(value: Optional[float], digits: int = 4) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if abs(value) < LONG else f"{value:.{digits}e}"


def remarks(all_results: list) -> list:
    """What a reader of the figures has to know, each once."""
    found = [RANDOM_MARK for result in all_results if result["random_backbone"]]
    found += [result["remark"] for result in all_results if result["remark"]]
    return list(dict.fromkeys(found))


def of(some: int, every: int) -> str:
    return f"{some} of {every}" if every else "-"


def figures(results: dict) -> str:
    """The seeds' line, and more below it."""
    lines = [f"img_auc: {number(results['img_auc'], 6)}, pixel_auc: {number(results['pixel_auc'], 6)}"]
    lines.append(", ".join(f"{title} {number(results[key])}" for key, title in FIGURES[2:]))
    verdicts = results["verdicts"]
    if results["threshold"] is not None:
        good, bad = (verdicts["false_alarms"], verdicts["good"]), (verdicts["missed"], verdicts["anomalous"])
        called = ((good, "good images called anomalous"), (bad, "anomalous ones missed"))
        said = ", ".join(f"{of(*counts)} {words}" for counts, words in called if counts[1])
        lines.append(f"threshold {number(results['threshold'])} ({results['threshold_chosen']}): {said}")
    return "\n".join(lines + of_threshold(results) + remarks([results]))


def without_images(results: dict) -> str:
    return "\n".join(["no test images: no figures", *of_threshold(results)])


def of_threshold(results: dict) -> list:
    """Lines: a table of rates, and what decides the threshold; or that there is none."""
    if not results.get("rates"):
        none = f"no threshold, so verdicts are {UNKNOWN}: two good photographs to train on are needed"
        return [none] if "good_left_out" in results and results.get("train_images") else []
    good, tests = results["good_left_out"], results["verdicts"]
    lines = [
        f"other thresholds ({good} good photographs of training, each scored as if not trained on):",
        "  false alarm rate   threshold   above it: in training   good in test   missed defects",
    ]
    for row in results["rates"]:
        rate = "(value)" if row["false_alarm_rate"] is None else f"{row['false_alarm_rate']:g}"
        above, alarms = of(row["good_above"], good), of(row["false_alarms"], tests["good"])
        missed = of(row["missed"], tests["anomalous"])
        mark = "   <- in force" if row["chosen"] else ""
        lines.append(f"  {rate:>16} {number(row['threshold']):>11}{above:>24}{alarms:>15}{missed:>17}{mark}")
    if alike(results):
        lines.append(f"  {ALIKE}")
    found = ", ".join(f"{each['name']} ({each['score']:.4f})" for each in results["deciding"])
    lines.append(f"the largest scores in training: {found}")
    return lines + ([f"warning: {results['advice']}"] if results["advice"] else [])


ALIKE = "rates with the same threshold: there are too few good photographs to tell them apart"


def alike(results: dict) -> bool:
    """Whether different rates lead to one threshold."""
    limits = [row["threshold"] for row in results["rates"]]
    return len(set(limits)) < len(limits)


def table(all_results: list) -> str:
    """One row a category and their mean, in Markdown."""
    keys = [key for key, _ in FIGURES]
    rows = [[result["category"], *(result[key] for key in keys)] for result in all_results]
    if len(rows) > 1:
        columns = list(zip(*rows))[1:]
        known = [[value for value in column if value is not None] for column in columns]
        rows.append(["mean", *(sum(values) / len(values) if values else None for values in known)])
    lines = ["| category | " + " | ".join(title for _, title in FIGURES) + " |", "|---" * (len(keys) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(number(value) for value in values) + " |" for name, *values in rows]
    return "\n".join(lines + [f"\n{remark}" for remark in remarks(all_results)])
