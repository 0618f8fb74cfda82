"""Shows what each threshold of a trained state or exported model would call anomalous, and stores the one you choose.

anomaly threshold output/patchcore/bottle                            a table of rates, and what decides the threshold
anomaly threshold output/patchcore/bottle --false_alarm_rate 0.05    one good photograph of twenty may be anomalous
anomaly threshold output/patchcore/bottle --value 2.5                a photograph with a higher score is anomalous
anomaly threshold output/patchcore/bottle --suggest                  looks for a better one

eval, predict, export and the C++ program use the threshold that is stored. Models that were exported into the folder of
the state get it too.
"""

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly import methods
from anomaly.commands import beside
from anomaly.commands.beside import Beside
from anomaly.commands.results import identity, is_ours
from anomaly.deploy import description, state
from anomaly.deploy.description import Description
from anomaly.deploy.loading import folder_of_record
from anomaly.deploy.state import State
from anomaly.detector import choice
from anomaly.measure import rates
from anomaly.measure.calibration import ANOMALOUS, TEST_LABELS, Calibration, Choice
from anomaly.measure.evaluation import Judged, verdicts
from anomaly.measure.metrics import best_f1, curve
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import read_json
from anomaly.run.flags import Parser, checked
from anomaly.run.options import finite, rate
from anomaly.show import tables


@dataclass(frozen=True)
class Found:
    """What a path leads to."""

    folder: Path
    calibration: Calibration
    choice: Choice
    trained: Optional[State] = None
    models: Beside = field(default_factory=Beside)

    def keep(self, choice: Choice) -> list:
        """Writes it where another one stands; returns these files."""
        kept = [state.with_options(self.trained, choice.options)] if self.trained and choice != self.choice else []
        try:
            for model in self.models.same:
                if differs(model, choice):
                    kept.append(description.keep(model, choice))
        except DataError as error:
            done = f"; it is kept already in {', '.join(map(str, kept))}" if kept else ""
            raise DataError(f"{error}{done}") from None
        return kept


def differs(model: Description, choice: Choice) -> bool:
    """Also where somebody has edited the numbers that follow from a choice."""
    return model.scales != model.calibration.at(choice)


def main(argv: Optional[Sequence[str]] = None) -> int:
    args = parser().parse_args(argv)
    if sum((args.false_alarm_rate is not None, args.value is not None, args.suggest)) > 1:
        raise UsageError("--false_alarm_rate, --value and --suggest: one of them")
    found = open_path(args.path)
    images = judged(found)
    wanted = found.choice
    if args.robust is not None:
        wanted = replace(wanted, robust=args.robust == "true", value=None, source="")
    if args.false_alarm_rate is not None:
        wanted = replace(wanted, false_alarm_rate=args.false_alarm_rate, value=None, source="")
    if args.value is not None:
        wanted = replace(wanted, value=args.value, source="")
    if args.suggest:
        wanted, why = suggestion(found.calibration, found.choice, images=images)
        print(f"suggested: {why}")
    asked = args.suggest or any(each is not None for each in (args.robust, args.false_alarm_rate, args.value))
    kept = found.keep(wanted) if asked else []
    print("\n".join(report(found.calibration, wanted, images=images)))
    if found.choice.value is not None and wanted.value is None:
        print(f"note: {found.choice.value:g}, which was chosen as a value before, is no longer in force")
    for model in found.models.same if found.trained and not asked else ():
        if differs(model, found.choice):
            print(f"note: {model.source} has another threshold ({model.scales.choice}); choosing one again mends it")
    for path in found.models.damaged:
        print(f"note: {path}: damaged; its model has no part in this, export it again")
    for path in found.models.others:
        print(f"note: {path} describes a model of another training, which keeps its threshold; export it again")
    for path in kept:
        print(f"kept in {path}")
    if any(path.suffix == ".json" and path.name != state.RECORD for path in kept):
        print("note: the output `normalised` inside an exported file is that of its export; all programs here work it")
        print("out anew from the .json, others need the model exported again")
    return 0


def parser() -> argparse.ArgumentParser:
    made = Parser(str(__doc__))
    made.add_argument("path", type=Path, help="the folder of a category that was trained, or an exported model")
    made.add_argument(
        "--false_alarm_rate", type=checked(rate), help="share of the good parts that may be called anomalous"
    )
    made.add_argument("--value", type=checked(finite), help="the score above which a photograph is anomalous")
    made.add_argument(
        "--suggest", action="store_true", help="choose the threshold by the labels of the test photographs (best F1)"
    )
    made.add_argument(
        "--robust",
        choices=("true", "false"),
        nargs="?",
        const="true",
        help="choose without good photographs that would decide the threshold alone",
    )
    return made


def open_path(path: Path) -> Found:
    path = folder_of_record(path)
    if path.is_dir():
        found = state.read(path)
        cls = methods.get(found.method).config
        kept, calibration = choice(cls(**found.options(cls))), found.calibration
        return Found(path, calibration, kept, found, beside.models(path, calibration))
    if path.suffix not in description.SUFFIXES.values():
        hint = "; give the model that it describes" if path.suffix == ".json" else ""
        raise DataError(f"{path}: neither the folder of a trained state nor an exported model{hint}")
    model = description.read(path)
    return Found(path.parent, model.calibration, model.scales.choice, None, Beside((model,)))


def judged(found: Found) -> tuple:
    """The test photographs of the last evaluation, if it was one of this detector."""
    path = found.folder / "results.json"
    if not is_ours(path):
        return ()
    results: Any = read_json(path)
    if results.get("good_scores_sha256") != identity(found.calibration):
        return ()
    try:
        images = tuple(Judged(**image) for image in results["images"])
        if all(isinstance(each.anomalous, bool) and math.isfinite(each.score) for each in images):
            return images
    except TypeError:
        pass
    raise DataError(f"{path}: damaged; run eval.py again")


def report(calibration: Calibration, chosen: Choice, *, images: tuple) -> list:
    scales = calibration.at(chosen)
    if not scales.known:
        return [f"no threshold: {len(calibration.scores)} good photographs were scored, and two are needed"]
    again = tuple(image._replace(verdict=scales.image.verdict(image.score)) for image in images)
    results = {**tables.threshold(calibration, again, scales=scales), "verdicts": verdicts(again)._asdict()}
    head = f"threshold {tables.number(scales.image.threshold)} ({chosen})"
    if not images:
        head += "; eval.py on test images tells what it does to them"
    return [head, *tables.of_threshold(results), *unlikely(calibration.scores, chosen.value, images=images)]


def unlikely(scores: Iterable, value: Optional[float], *, images: tuple) -> list:
    """Lines about a value that can hardly be meant."""
    anomalous = [image.score for image in images if image.anomalous]
    if value is not None and anomalous and max(*scores, *anomalous) <= value:
        return [f"note: no photograph so far scores above {value:g}; the largest score is {max(*scores, *anomalous):g}"]
    return too_low(scores, value)


def too_low(scores: Iterable, value: Optional[float]) -> list:
    above = [score > value for score in scores] if value is not None else []
    if 2 * sum(above) <= len(above):
        return []
    return [
        f"note: {sum(above)} of {len(above)} good photographs score above {value:g}, so most good parts are called",
        "anomalous; 0.5 is the threshold of normalised scores, and --value is one of the scores themselves",
    ]


def suggestion(calibration: Calibration, chosen: Choice, *, images: tuple) -> tuple:
    """A choice, and why."""
    labels = [image.anomalous for image in images]
    scale = calibration.at(chosen).image
    right = images and not any((scale.verdict(image.score) == ANOMALOUS) != image.anomalous for image in images)
    if right and not too_low(calibration.scores, chosen.value):
        return chosen, f"the threshold as it is; none of the {len(images)} test photographs is on its wrong side"
    if any(labels) and not all(labels):
        scores = [image.score for image in images]
        _, best = best_f1(curve(np.array(scores), np.array(labels)))
        below = sorted(score for score in scores if score < best)
        value = (best + below[-1]) / 2 if below else best - 1e-6 * abs(best)
        why = (
            f"{value:.6g}, the best F1 on the {len(images)} test photographs of the last evaluation. It was chosen by "
            "their labels, so the figures below flatter: count on them only with photographs that were not among these"
        )
        return replace(chosen, value=value, source=TEST_LABELS), why
    advice = rates.advice(calibration, chosen)
    if advice:
        return replace(chosen, robust=True), f"--robust, since {advice.rsplit('; add', 1)[0]}"
    return chosen, "the threshold as it is; there are no labelled test photographs to choose another by"
