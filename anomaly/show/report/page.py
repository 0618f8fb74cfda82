"""Fills the page: figures and tables as HTML, everything that moves as data for the scripts, all in one file."""

import base64
import hashlib
import html
import json
import time
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from anomaly import __version__
from anomaly.measure.evaluation import Evaluation
from anomaly.run.files import begins, require_own, write_text
from anomaly.show import tables
from anomaly.show.report import content
from anomaly.show.report.gallery import Gallery

NAME = "report.html"
HEAD = "<!doctype html>\n<!-- a report of mindspore-anomaly -->\n"  # tells a page of ours from one of the user's
HERE = Path(__file__).parent
STYLES = ("page.css", "gallery.css")
SCRIPTS = ("model.js", "charts.js", "layers.js", "gallery.js", "viewer.js", "page.js")  # in this order
MEANINGS = {
    "img_auc": "how well scores tell defective photographs from good ones; 0.5 is chance",
    "pixel_auc": "how well the maps tell defective pixels from good ones, by the masks",
    "aupro": f"the mean part found of each defect, up to a false positive rate of {content.FPR_LIMIT:g}",
    "img_f1": "the best that any threshold could reach on these photographs",
    "pixel_f1": "the best that any threshold could reach for pixels",
    "img_ap": "average precision of photographs: the area under precision and recall",
    "pixel_ap": "average precision of pixels",
}


def require_place(folder: Path) -> None:
    """A page of another program is never written over."""
    require_own(folder / NAME, is_own=begins(folder / NAME, (HEAD,)))


def write(folder: Path, results: dict, *, evaluation: Evaluation, gallery: Gallery, good: tuple) -> None:
    """`results`: as in results.json; `good`: a Calibration and the Scales in force."""
    data = content.of(evaluation, gallery.records, good=good, folder=folder)
    embedded = as_json(data)
    title = f"{results['category']}: {results['method']} with {results['backbone']}"
    body = filled(
        "page.html",
        title=text(title),
        about=text(about(results)),
        notices=notices(results),
        figures=figures(results),
        verdicts=text(verdicts(results)),
        rates=rates(results),
        deciding=deciding(results),
        place=place(data["command"]),
        size=text(size(gallery, len(embedded))),
    )
    scripts = f'<script type="application/json" id="data">{embedded}</script>\n'
    write_text(folder / NAME, whole(title, body, scripts=scripts, code=joined(SCRIPTS)))


def whole(title: str, body: str, *, scripts: str = "", code: str = "") -> str:
    """A page with the style of all of them. It can load nothing and run nothing but what it holds itself."""
    style = joined(STYLES)
    policy = f"default-src 'none'; img-src data:; style-src {digest(style)}; base-uri 'none'; form-action 'none'"
    policy += f"; script-src {digest(code)}" if code else ""
    program = f"<script>{code}</script>\n" if code else ""
    return HEAD + filled("frame.html", title=text(title), policy=policy, style=style, body=body + scripts + program)


def joined(names: Iterable) -> str:
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in names)


def filled(name: str, **parts: str) -> str:
    return Template((HERE / name).read_text(encoding="utf-8")).substitute(parts)


def digest(content: str) -> str:
    """As a policy names a script or style that may be used."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def text(value: object) -> str:
    """For HTML, also in an attribute; what is no Unicode in the name of a file becomes a mark that says so."""
    return html.escape(str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def as_json(value: Any) -> str:
    """For a script element, which ends at the first </script>, whatever is around it."""
    written = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def about(results: dict) -> str:
    parts = [f"{results['test_images']} test photographs"]
    if results["train_images"]:
        parts.insert(0, f"trained on {results['train_images']} good photographs")
    if results["seconds_per_image"] is not None and results["test_images"]:
        parts.append(f"{1000 * results['seconds_per_image']:.1f} ms to judge one")
    made = time.strftime("%Y-%m-%d %H:%M")
    return f"{', '.join(parts)}. Written {made} by mindspore-anomaly {__version__}."


def notices(results: dict) -> str:
    """What a reader has to know before the figures."""
    found = [("warning", each) for each in tables.remarks([results])]
    if not results["test_images"]:
        found.append(("note", "There were no test photographs, so there are no figures and no gallery."))
    elif results["img_auc"] is None:
        missing = "good" if results["verdicts"]["anomalous"] else "defective"
        found.append(("note", f"There were no {missing} test photographs; most figures need both kinds."))
    elif results["pixel_auc"] is None:
        found.append(("note", "There were no masks of defects, so there are no figures of pixels."))
    if results["threshold"] is None:
        good = results["good_left_out"]
        found.append(
            ("warning", f"There is no threshold: {good} good photographs were scored in training, and two are needed.")
        )
    if results["advice"]:
        found.append(("warning", sentence(results["advice"])))
    return "\n".join(f'<p class="notice {kind}">{text(each)}</p>' for kind, each in found)


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."


def figures(results: dict) -> str:
    cells = (
        f"<div><dt>{text(title)}</dt><dd>{tables.number(results[key])}</dd><dd class=meaning>{MEANINGS[key]}</dd></div>"
        for key, title in tables.FIGURES
    )
    return '<dl class="figures">' + "\n".join(cells) + "</dl>"


def verdicts(results: dict) -> str:
    if results["threshold"] is None:
        return "Without a threshold no photograph is called normal or anomalous, and there is nothing to choose here."
    found = results["verdicts"]
    said = f"The threshold in force is {results['threshold']:.4f} ({results['threshold_chosen']})"
    if not results["test_images"]:
        return f"{said}."
    return (
        f"{said}: {found['false_alarms']} of {found['good']} good photographs are called anomalous, and "
        f"{found['missed']} of {found['anomalous']} defective ones are missed."
    )


RATE_COLUMNS = ("false alarm rate", "threshold", "above it in training", "false alarms in test", "missed defects")


def rates(results: dict) -> str:
    """The table of other thresholds."""
    if not results["rates"]:
        return "<p>There is no threshold, so there are no others to compare.</p>"
    head = "".join(f'<th scope="col">{each}</th>' for each in RATE_COLUMNS)
    said = f"{results['good_left_out']} good photographs of training, each scored as if not trained on"
    rows = "".join(rate_row(row, results) for row in results["rates"])
    table = f"<caption>{said}</caption><thead><tr>{head}<td></td></tr></thead><tbody>{rows}</tbody>"
    place = '<div class="wide" tabindex="0" role="region" aria-label="Other thresholds">'
    note = f"<p>{sentence(tables.ALIKE)}</p>" if tables.alike(results) else ""
    return f'{place}<table id="rates">{table}</table></div>{note}'


def rate_row(row: dict, results: dict) -> str:
    good, tests = results["good_left_out"], results["verdicts"]
    cells = (
        f"{row['threshold']:.4f}",
        f"{row['good_above']} of {good}",
        f"{row['false_alarms']} of {tests['good']}",
        f"{row['missed']} of {tests['anomalous']}",
    )
    rate = "chosen as a value" if row["false_alarm_rate"] is None else f"{row['false_alarm_rate']:g}"
    written = f'<th scope="row">{rate}</th>' + "".join(f"<td>{cell}</td>" for cell in cells)
    kind, mark = (' class="chosen"', "in force") if row["chosen"] else ("", "")
    return f'<tr{kind} data-threshold="{row["threshold"]!r}">{written}<td class="mark">{mark}</td></tr>'


def deciding(results: dict) -> str:
    """The photographs of training with the largest scores."""
    if not results["deciding"]:
        return ""
    items = (
        f"<li><bdi>{text(each['name'])}</bdi> <span>{each['score']:.4f}</span>"
        + (" <strong>decides the threshold alone</strong>" if each["dominates"] else "")
        + "</li>"
        for each in results["deciding"]
    )
    return (
        "<p>The good photographs of training with the largest scores, which decide the threshold; they are drawn in "
        f"<code>sample/train/</code> where pictures were asked for:</p><ol class=deciding>{''.join(items)}</ol>"
    )


def place(command: str) -> str:
    """What stands for the folder of the state in a command, if that is not known."""
    known = not command.endswith(f" {content.FOLDER}")
    return "" if known else f"{content.FOLDER} stands for the folder of the trained state, or for the exported model. "


def size(gallery: Gallery, length: int) -> str:
    """How large the page and its pictures are."""
    parts = f"This page needs no network and holds about {max(length / 1e6, 0.1):.1f} MB."
    total, drawn = len(gallery.records), gallery.drawn
    if not total:
        return parts
    parts += f" Its pictures are at most {gallery.largest} pixels long, the smaller the more photographs there are."
    if drawn < total:
        parts += f" {drawn} of {total} photographs have a picture: there are too many for all."
    return parts
