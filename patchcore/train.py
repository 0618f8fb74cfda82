"""Trains PatchCore on photographs of good parts, and evaluates it where there are test images.

python patchcore/train.py --dataset_path data --category bottle --pre_ckpt_path pretrained/wide_resnet50_2-95faca4d.ckpt
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from anomaly import cli, evaluation
from anomaly.device import available_memory, set_device
from anomaly.errors import DataError
from anomaly.files import require_writable
from anomaly.progress import Phases, bar, log, logging_to
from anomaly.weights import Backbone
from patchcore.src import backbone, dataset, memory_bank
from patchcore.src.anomaly_map import AnomalyMap
from patchcore.src.config import Config
from patchcore.src.detector import METHOD, PatchCore, calibrate
from patchcore.src.model import PatchEmbedding


def extract(config: Config, samples: tuple, embedding: PatchEmbedding) -> np.ndarray:
    """All patches of all images in one array, images x N x D."""
    n = embedding.grid[0] * embedding.grid[1]
    shape = (len(samples), n, embedding.dimensions)
    needed, free = 4 * int(np.prod(shape)), available_memory()
    if needed > free:
        raise DataError(
            f"{shape[0]} images need {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; "
            "use a smaller --resize or fewer images"
        )
    features, done = np.empty(shape, np.float32), 0
    with bar(len(samples), "features", "image") as progress:
        for batch in dataset.batches(config, samples):
            features[done : done + batch.size] = embedding.numpy(batch.images)[: batch.size]
            done += batch.size
            progress.update(batch.size)
    return features


def train(config: Config, category: str, weights: Backbone, embedding: PatchEmbedding) -> dict:
    folder = cli.output_folder(config, METHOD) / category
    require_writable(folder)
    with logging_to(folder / "train.log"):
        data = dataset.load(config, category)
        cli.announce(config, METHOD, data, weights)
        phases = Phases()
        with phases("features"):
            features = extract(config, data.train, embedding)
        images, n, d = features.shape
        with phases("coreset"), bar(max(1, int(images * n * config.coreset_ratio)), "coreset", "pick") as progress:
            bank = memory_bank.fit(
                features.reshape(-1, d), n, config.coreset_ratio, config.k, config.seed, progress.update
            )
        log.info("memory bank: %d of %d patches, %d dimensions", len(bank.vectors), images * n, d)
        anomaly_map = AnomalyMap(embedding.grid, config.transform.size)
        with phases("calibration"), bar(images, "calibration", "image") as progress:
            calibration = calibrate(bank, anomaly_map, features, progress.update)
        del features
        detector = PatchCore(embedding, bank, anomaly_map, calibration, weights)
        with phases("saving"):
            detector.save(folder, config)
        with phases("evaluation"):
            test = dataset.batches(config, data.test, with_masks=True)
            results = evaluation.evaluate(detector, data, test, folder, config)
        phases.report()
        log.info("state and results: %s", folder)
    return results


def main(argv=None):
    _, config = cli.training_options(__doc__, Config, argv, Path(__file__).parent / "config")
    names = cli.categories(config)
    set_device(config.device_target, config.device_id)
    weights = backbone.load(config)
    embedding = PatchEmbedding(weights.net, config.backbone, config.transform.size)
    return cli.each(names, lambda name: train(config, name, weights, embedding))


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
