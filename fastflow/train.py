"""Trains FastFlow on photographs of good parts, and evaluates it where there are test images.

python fastflow/train.py --dataset_path data --category bottle --pre_ckpt_path W.ckpt
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly.commands import cli
from anomaly.deploy import state
from anomaly.measure import evaluation
from anomaly.networks.weights import Backbone
from anomaly.run.device import set_device
from anomaly.run.files import require_writable
from anomaly.run.processes import Ranks, join
from anomaly.run.progress import Phases, log, logging_to
from fastflow.src import backbone, dataset, features, judging
from fastflow.src.calibration import calibrate
from fastflow.src.config import LAST, TEST_PIXEL_AUC, Config
from fastflow.src.detector import METHOD, FastFlow, build_flows, shapes
from fastflow.src.training import Training, split


def train(config: Config, category: str, weights: Backbone, ranks: Ranks) -> dict:
    folder = cli.output_folder(config, METHOD) / category
    require_writable(folder)
    with logging_to(ranks.log(folder), config.resume):
        data = dataset.load(config, category)
        cli.announce(config, METHOD, data, weights)
        phases, flows = Phases(), build_flows(config)
        held_out = 0.0 if config.select == TEST_PIXEL_AUC else config.held_out  # the zoo trains on all of them
        index, kept_out = split(len(data.train), held_out, config.seed)
        with phases("features"):
            cache = features.collect(config, data.train, weights.net, shapes(config), folder)
        detector = FastFlow.of(config, weights, flows)
        judge = judging.by(config, data, detector, cache, kept_out, folder)
        origin = {"weights": weights.fingerprint, "images": dataset.digest(data.train)}
        training = Training(config, flows, cache, index, ranks, folder, origin, judge)
        with phases("training"):
            progress = training.run()
        log.info("kept: epoch %d, chosen by %s", progress.kept_epoch, config.select if progress.best else LAST)
        if not ranks.writes:
            return {}
        with phases("calibration"):
            detector = replace(detector, calibration=calibrate(detector, cache, index, kept_out))
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
    return cli.each(names, lambda name: train(config, name, weights, ranks))


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
