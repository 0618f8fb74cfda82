"""Evaluates a trained PaDiM, or a model exported from it, on the test images.

python padim/eval.py --dataset_path data --category bottle [--model_path bottle.onnx]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomaly import cli, evaluation
from anomaly.device import set_device
from anomaly.files import require_writable
from anomaly.progress import Phases, logging_to
from padim.src import backbone, dataset
from padim.src.config import Config
from padim.src.detector import METHOD, PaDiM


def evaluate(args, category: str) -> dict:
    if args.model_path:
        detector, config = cli.with_model(Config, args, METHOD)
    else:
        detector, config = None, cli.read_back(Config, args, METHOD, category)
    folder = cli.output_folder(config, METHOD) / category
    require_writable(folder)
    with logging_to(folder / "eval.log"):
        data = dataset.load(config, category)
        weights = detector.weights if detector else backbone.load(config)
        cli.announce(config, METHOD, data, weights)
        phases = Phases()
        with phases("loading"):
            detector = detector or PaDiM.load(folder, config, weights)
        with phases("evaluation"):
            test = dataset.batches(config, data.test, with_masks=True)
            results = evaluation.evaluate(detector, data, test, folder, config)
        phases.report()
    return results


def main(argv=None):
    args, config = cli.evaluation_options(__doc__, Config, argv)
    names = cli.categories(config)
    set_device(config.device_target, config.device_id)
    return cli.each(names, lambda name: evaluate(args, name))


if __name__ == "__main__":
    sys.exit(cli.guarded(main))
