"""An evaluation that leaves pictures and figures in a folder; training ends with one, too."""

from collections.abc import Iterable
from pathlib import Path

from anomaly.config import Config
from anomaly.data.samples import Category
from anomaly.detector import Detector, Judging
from anomaly.measure.evaluation import evaluate
from anomaly.measure.judgement import Judgement
from anomaly.run.errors import DataError
from anomaly.run.files import read_json, replacing_folder, require_own, write_json
from anomaly.run.progress import Bars, Counter, log
from anomaly.show import pictures, tables

MARKER = ".made_by_anomaly"  # tells a folder of pictures that may be replaced from one of the user's


def write(judgements: Iterable[Judgement], number: int, *, folder: Path, most: int, about: dict) -> dict:
    """results.json and sample/ of so many judgements; `about`: what is known of the detector and the photographs."""
    ours = (folder / "sample" / MARKER).is_file() or is_ours(folder / "results.json")
    require_own(folder / "sample", is_own=ours)
    mark = "RANDOM BACKBONE" if about["random_backbone"] else ""
    with replacing_folder(folder / "sample") as sample, Counter(Bars(), "evaluation", total=number) as count:
        (sample / MARKER).touch()

        def counted() -> Iterable[Judgement]:
            for judgement in pictures.drawn(judgements, sample, most=most, mark=mark):
                yield judgement
                count()

        evaluation = evaluate(counted())
    seconds = judgements.seconds / max(number, 1) if isinstance(judgements, Judging) else None
    results = {**tables.record(evaluation, about), "seconds_per_image": seconds}
    write_json(folder / "results.json", results)
    log.info("%s", tables.figures(results) if evaluation.images else "no test images: no figures")
    return results


def is_ours(path: Path) -> bool:
    """Whether an evaluation has written this file, and so what lies beside it."""
    try:
        found = read_json(path)
    except (OSError, DataError):
        return False
    return isinstance(found, dict) and {"method", "verdicts", "images"} <= found.keys()


def of_category(detector: Detector, data: Category, *, folder: Path, config: Config) -> dict:
    """The detector's results on the test photographs of a category; `config` says how many at once, and pictures."""
    about = tables.about(
        detector.method,
        data.name,
        backbone=detector.backbone,
        remark=detector.remark,
        scales=detector.scales,
        trained_on=len(data.train),
    )
    judging = Judging(detector, data.test, config.batch_size, config.workers, with_masks=True)
    return write(judging, len(data.test), folder=folder, most=config.pictures, about=about)
