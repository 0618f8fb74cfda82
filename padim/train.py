"""Trains PaDiM on photographs of good parts, and evaluates it where there are test images.

python padim/train.py --dataset_path data --category bottle --pre_ckpt_path pretrained/wide_resnet50_2-95faca4d.ckpt
"""

import sys
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.deploy import state
from anomaly.measure import evaluation
from anomaly.measure.calibration import Calibration
from anomaly.networks.weights import Backbone
from anomaly.run.device import require_memory, set_device
from anomaly.run.errors import DataError
from anomaly.run.files import require_writable
from anomaly.run.processes import Ranks, join
from anomaly.run.progress import Phases, bar, log, logging_to
from padim.src import backbone, dataset, update
from padim.src.anomaly_map import AnomalyMap
from padim.src.config import Config
from padim.src.detector import METHOD, PaDiM, calibrate
from padim.src.gaussian import Accumulator, Gaussians
from padim.src.model import Embedding


def embed(config: Config, samples: list, embedding: Embedding, what: str):
    """Yields the embeddings of all samples, B P D at a time."""
    with bar(len(samples), what, "image") as progress:
        for batch in dataset.batches(config, samples):
            yield embedding.numpy(batch.images)[: batch.size]
            progress.update(batch.size)


def fit(
    config: Config, samples: list, embedding: Embedding, start: Optional[Gaussians], phases: Phases, ranks: Ranks
) -> Gaussians:
    """The Gaussians of the samples and of what `start` has seen."""
    positions, d = embedding.grid[0] * embedding.grid[1], config.embedding_dim
    known = start.count if start else 0
    total = len(samples) + known
    hint = "use a smaller --embedding_dim or --resize"
    require_memory(4 * positions * d * min(total, d), "the state needs", hint)
    with phases("features"):
        mine, before = ranks.share(samples)
        sums = Accumulator(
            positions, d, total, start if ranks.writes else None, before if ranks.writes else known + before
        )
        for features in embed(config, mine, embedding, "features"):
            sums.add(features)
        sums.reduce(ranks)
    with phases("gaussians"), bar(positions // ranks.size, "gaussians", "position") as progress:
        return sums.gaussians(progress.update, ranks)


def recalibrate(
    config: Config, gaussians: Gaussians, embedding: Embedding, present: list, earlier, ranks: Ranks
) -> Calibration:
    """Leaves out each image in turn; of `present` those of an earlier run that are gone, None, keep their scores."""
    mine, _ = ranks.share([sample for sample in present if sample])
    features = embed(config, mine, embedding, "calibration")
    fresh = ranks.gather(calibrate(gaussians, AnomalyMap(embedding.grid, config.transform.size), features))
    if None in present:
        log.info("%d images of before are gone: their scores for the threshold stay", present.count(None))
    return update.merge(earlier, [sample is not None for sample in present], fresh)


def train(config: Config, category: str, weights: Backbone, embedding: Embedding, ranks: Ranks) -> dict:
    folder = cli.output_folder(config, METHOD) / category
    require_writable(folder)
    with logging_to(ranks.log(folder)):
        data = dataset.load(config, category)
        cli.announce(config, METHOD, data, weights)
        phases = Phases()
        before = PaDiM.load(folder, config, weights) if config.update else None
        known = state.details(folder)["images"] if before else []
        new = update.unseen(data.train, known) if before else list(data.train)
        if not new:
            raise DataError(f"{folder}: has seen all {len(data.train)} images already; nothing to add")
        gaussians = fit(config, new, embedding, before and before.gaussians, phases, ranks)
        kind = "low rank" if gaussians.low_rank else "full"
        log.info("%d images, %d positions, %d dimensions: %s", gaussians.count, *gaussians.mean.shape, kind)
        with phases("calibration"):
            present = update.still_there(known) + new
            calibration = recalibrate(config, gaussians, embedding, present, before and before.calibration, ranks)
        if not ranks.writes:
            return {}
        anomaly_map = AnomalyMap(embedding.grid, config.transform.size)
        detector = PaDiM(embedding, gaussians.stored_as(config.storage), anomaly_map, calibration, weights)
        with phases("saving"):
            detector.save(folder, config, known + update.describe(new))
        with phases("evaluation"), state.kept(folder):
            test = dataset.batches(config, data.test, with_masks=True)
            results = evaluation.evaluate(detector, data, test, folder, config)
        phases.report()
        log.info("state and results: %s", folder)
    return results


def go_on(config: Config, category: str, ranks: Ranks) -> dict:
    """Adds the images that the category's state has not seen, with the options it was trained with."""
    weights = backbone.load(config)
    return train(config, category, weights, Embedding(weights.net, config), ranks)


def main(argv=None):
    args, config = cli.training_options(__doc__, Config, argv, Path(__file__).parent / "config")
    names = cli.categories(config)
    set_device(config.device_target, config.device_id)
    ranks = join()
    if config.update:
        return cli.each(names, lambda name: go_on(cli.read_back(Config, args, METHOD, name), name, ranks))
    weights = backbone.load(config)
    embedding = Embedding(weights.net, config)
    return cli.each(names, lambda name: train(config, name, weights, embedding, ranks))


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
