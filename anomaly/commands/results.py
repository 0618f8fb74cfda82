"""An evaluation that leaves pictures and figures in a folder; training ends with one, too."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Optional

from anomaly.commands import deciding
from anomaly.config import Config
from anomaly.data.samples import Category
from anomaly.detector import Detector, Judging
from anomaly.measure.calibration import Calibration, Scales
from anomaly.measure.evaluation import evaluate
from anomaly.measure.judgement import Judgement
from anomaly.run.errors import DataError
from anomaly.run.files import (
    MARKER,
    begins,
    read_json,
    replacing_folder,
    require_own,
    require_own_folder,
    write_json,
    write_text,
)
from anomaly.run.progress import Bars, Counter, log
from anomaly.show import animation, panels, tables
from anomaly.show.report import page
from anomaly.show.report.gallery import Gallery

TABLE = "results.csv"


def write(
    judgements: Iterable[Judgement],
    number: int,
    *,
    folder: Path,
    most: int,
    about: dict,
    good: tuple,
    table: str = TABLE,
    examples: Iterable[Judgement] = (),
    gif: Optional[Path] = None,
) -> dict:
    """results.json, the table, report.html and sample/ of so many judgements.

    `about`: what is known of the detector and the photographs; `good`: a Calibration and the Scales in force;
    `examples`: judgements to draw that do not count; `gif`: where an animation goes, if there is to be one.
    """
    require_places(folder, pictures=most, table=table, gif=gif)
    gallery = Gallery(number)
    mark = "RANDOM BACKBONE" if about["random_backbone"] else ""
    frames = animation.Animation()
    watched = frames.gathered(judgements) if gif else judgements
    with sample(folder, most) as place, Counter(Bars(), "evaluation", total=number) as count:
        for _ in panels.drawn(examples, place, most=most, mark=mark, truth=deciding.TRUTH):
            pass

        def counted() -> Iterable[Judgement]:
            for judgement in gallery.collected(panels.drawn(watched, place, most=most, mark=mark)):
                yield judgement
                count()

        evaluation = evaluate(counted())
    seconds = judgements.seconds / max(number, 1) if isinstance(judgements, Judging) else None
    calibration, scales = good
    results = {
        **tables.record(evaluation, about),
        **tables.threshold(calibration, evaluation.images, scales=scales),
        "good_scores_sha256": identity(calibration),
        "seconds_per_image": seconds,
    }
    if gif:
        frames.write(gif)
    write_json(folder / "results.json", results)
    write_text(folder / table, tables.csv_of(results))
    page.write(folder, results, evaluation=evaluation, gallery=gallery, good=good)
    log.info("%s", tables.figures(results) if evaluation.images else tables.without_images(results))
    log.info("report: %s", folder / page.NAME)
    return results


def animation_of(folder: Path, config: Config) -> Optional[Path]:
    """Where the animation of a category goes, if one is asked for."""
    return folder / f"{folder.resolve().name}.gif" if config.save_gif else None


def require_places(folder: Path, *, pictures: int, table: str = TABLE, gif: Optional[Path] = None) -> None:
    """Nothing that another program or the user has made is replaced; to be known before hours of training."""
    require_own(folder / table, is_own=begins(folder / table, (tables.CSV_HEADER,)))
    require_own(folder / "results.json", is_own=is_ours(folder / "results.json"))
    page.require_place(folder)
    if gif:
        require_own(gif, is_own=animation.is_ours(gif))
    if pictures:
        require_own_folder(folder / "sample")


@contextmanager
def sample(folder: Path, most: int) -> Iterator[Path]:
    """Where pictures are drawn; those that are there stay if none are asked for."""
    place = folder / "sample"
    if not most:
        yield place
        return
    with replacing_folder(place) as made:
        (made / MARKER).touch()
        yield made


def is_ours(path: Path) -> bool:
    """Whether an evaluation has written this file."""
    try:
        found = read_json(path)
    except (OSError, DataError):
        return False
    return isinstance(found, dict) and {"method", "verdicts", "images"} <= found.keys()


def identity(calibration: Calibration) -> str:
    """Of what was fitted: two detectors that scored the good photographs alike are the same one."""
    return hashlib.sha256(calibration.scores.tobytes() + calibration.peaks.tobytes()).hexdigest()


def untrained(detector: Detector, data: Category) -> Category:
    """Without test photographs that it was trained on, as where a share was chosen anew among more photographs."""
    known = {image["path"] for image in detector.images}
    kept = tuple(sample for sample in data.test if sample.anomalous or str(sample.path.resolve()) not in known)
    if len(kept) < len(data.test):
        log.info("not tested on, since they were trained on before: %d", len(data.test) - len(kept))
    return replace(data, test=kept)


def of_category(detector: Detector, data: Category, *, folder: Path, config: Config) -> dict:
    """The detector's results on the test photographs of a category; `config` says how many at once, and pictures."""
    scales: Scales = detector.scales
    data = untrained(detector, data)
    about = tables.about(
        detector.method,
        data.name,
        backbone=detector.backbone,
        remark=detector.remark,
        scales=scales,
        trained_on=len(data.train),
    )
    judging = Judging(detector, data.test, config.batch_size, config.workers, with_masks=True)
    examples = deciding.judgements(detector, data) if config.pictures else ()
    return write(
        judging,
        len(data.test),
        folder=folder,
        most=config.pictures,
        about=about,
        good=(detector.calibration, scales),
        examples=examples,
        gif=animation_of(folder, config),
    )
