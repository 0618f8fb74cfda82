"""Trains PatchCore on photographs of good parts, and evaluates it where there are test images.

python patchcore/train.py --dataset_path data --category bottle --pre_ckpt_path pretrained/wide_resnet50_2-95faca4d.ckpt
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from anomaly.commands import cli
from anomaly.deploy import state
from anomaly.measure import evaluation
from anomaly.measure.calibration import Calibration
from anomaly.networks.weights import Backbone
from anomaly.run.device import require_memory, set_device
from anomaly.run.files import require_writable
from anomaly.run.processes import Ranks, join
from anomaly.run.progress import Phases, bar, log, logging_to
from patchcore.src import backbone, dataset, gathering
from patchcore.src.anomaly_map import AnomalyMap
from patchcore.src.config import Config
from patchcore.src.detector import APPROXIMATE, METHOD, PatchCore, calibrate
from patchcore.src.model import PatchEmbedding


def extract(config: Config, samples: tuple, embedding: PatchEmbedding) -> np.ndarray:
    """All patches of all images in one array, images x N x D."""
    n = embedding.grid[0] * embedding.grid[1]
    shape = (len(samples), n, embedding.dimensions)
    require_memory(4 * int(np.prod(shape)), f"{shape[0]} images need", "use a smaller --resize or fewer images")
    features, done = np.empty(shape, np.float32), 0
    with bar(len(samples), "features", "image") as progress:
        for batch in dataset.batches(config, samples):
            features[done : done + batch.size] = embedding.numpy(batch.images)[: batch.size]
            done += batch.size
            progress.update(batch.size)
    return features


def train(config: Config, category: str, weights: Backbone, embedding: PatchEmbedding, ranks: Ranks) -> dict:
    folder = cli.output_folder(config, METHOD) / category
    require_writable(folder)
    with logging_to(ranks.log(folder)):
        data = dataset.load(config, category)
        cli.announce(config, METHOD, data, weights)
        phases, (mine, before) = Phases(), ranks.share(data.train)
        with phases("features"):
            features = extract(config, mine, embedding)
        total = len(data.train) * features.shape[1]
        with phases("coreset"), bar(max(1, int(total * config.coreset_ratio)), "coreset", "pick") as progress:
            bank, approximate = gathering.fit(config, features, before, ranks, progress.update)
        log.info("memory bank: %d of %d patches, %d dimensions", len(bank.vectors), total, bank.vectors.shape[1])
        anomaly_map = AnomalyMap(embedding.grid, config.transform.size)
        with phases("calibration"), bar(len(mine), "calibration", "image") as progress:
            good = ranks.gather(calibrate(bank, anomaly_map, features, before, progress.update))
        del features
        if not ranks.writes:
            return {}
        remark = APPROXIMATE if approximate else ""
        detector = PatchCore(embedding, bank, anomaly_map, Calibration(*good.T), weights, remark)
        with phases("saving"):
            detector.save(folder, config)
        with phases("evaluation"), state.kept(folder):
            test = dataset.batches(config, data.test, with_masks=True)
            results = evaluation.evaluate(detector, data, test, folder, config)
        phases.report()
        log.info("state and results: %s", folder)
    return results


def main(argv=None):
    _, config = cli.training_options(__doc__, Config, argv, Path(__file__).parent / "config")
    names = cli.categories(config)
    set_device(config.device_target, config.device_id)
    ranks = join()
    weights = backbone.load(config)
    embedding = PatchEmbedding(weights.net, config.backbone, config.transform.size)
    return cli.each(names, lambda name: train(config, name, weights, embedding, ranks))


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
