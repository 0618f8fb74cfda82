"""Trains {title} on photographs of good parts, and evaluates it where there are test images.

python {method}/train.py --dataset_path data --category bottle
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Optional

from anomaly.commands import beside, common, results
from anomaly.commands.common import Chosen
from anomaly.data import sources
from anomaly.deploy import state
from anomaly.methods import Method
from anomaly.run import device
from anomaly.run.files import require_writable
from anomaly.run.job import Job
from anomaly.run.lock import locked
from anomaly.run.options import TRAIN
from anomaly.run.processes import Ranks, join
from anomaly.run.progress import Bars, log, logging_to


def run(method: Method, argv: Optional[Sequence[str]] = None) -> int:
    chosen = common.parse(method, TRAIN, text=str(__doc__), argv=argv, own=lambda group: None)
    config = chosen.resolved
    names = common.choose_categories(chosen)
    device.use(config.device_target, config.device_id)
    device.end_in_order()
    ranks = join()
    code = common.each(names, lambda name: train(chosen, name, ranks=ranks), output=chosen.output)
    ranks.finish()
    return code


def train(chosen: Chosen, name: str, *, ranks: Ranks) -> Optional[dict]:
    method, config, folder = chosen.method, chosen.resolved, chosen.output / name
    require_writable(folder)
    results.require_places(folder, pictures=config.pictures, gif=results.animation_of(folder, config))
    state.require_place(folder)
    held = locked(folder) if ranks.writes else nullcontext()
    with held, logging_to(ranks.log(folder), append=getattr(config, "resume", False)):
        start = method.load(state.read(folder), chosen.given) if getattr(config, "update", False) else None
        config = start.config if start else config
        data = sources.load(sources.of(config), name)
        backbone = start.backbone if start else method.backbone(config)
        data = results.untrained(start, data) if start else data
        common.announce(
            method.name, config.transform, data=data, backbone=backbone, where=str(config.runtime), trains=True
        )
        common.advise(config.transform, data.train)
        job = Job(Bars(), folder, ranks, data.test)
        detector = method.fitted(config, data.train, job=job, start=start, backbone=backbone)
        if not ranks.writes:
            return None
        with job.phase("saving"):
            replace(detector, category=name).save(folder)
        with job.phase("evaluation"), state.kept(folder):
            found = results.of_category(detector, data, folder=folder, config=config)
        for path in beside.models(folder, detector.calibration).others:
            log.info("note: %s describes a model of an earlier training; export it again", path)
        job.phases.report()
        log.info("state and results: %s", folder)
    return found
