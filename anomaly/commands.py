"""eval.py, predict.py and export.py of every method: they differ in nothing but the method."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anomaly import cli, evaluation, export, loader, prediction
from anomaly.dataset import load_category
from anomaly.device import set_device
from anomaly.files import require_writable
from anomaly.progress import Phases, logging_to


@dataclass(frozen=True)
class Method:
    """What the commands have to know of a method."""

    name: str
    config: type
    detector: type  # with load(folder, config, weights)
    deployed: type  # the detector as one Cell
    load_backbone: Callable  # of a config
    layers: tuple
    presets: Path


def evaluate(method: Method, text: str, argv) -> int:
    args, config = cli.evaluation_options(text, method.config, argv)
    names = cli.categories(config)
    set_device(config.device_target, config.device_id)
    return cli.each(names, lambda name: evaluate_category(method, args, name))


def evaluate_category(method: Method, args, category: str) -> dict:
    if args.model_path:
        detector, config = cli.with_model(method.config, args, method.name)
    else:
        detector, config = None, cli.read_back(method.config, args, method.name, category)
    folder = cli.output_folder(config, method.name) / category
    require_writable(folder)
    with logging_to(folder / "eval.log"):
        data = load_category(config.dataset_path, category)
        weights = detector.weights if detector else method.load_backbone(config)
        cli.announce(config, method.name, data, weights)
        phases = Phases()
        with phases("loading"):
            detector = detector or method.detector.load(folder, config, weights)
        with phases("evaluation"):
            test = loader.batches(data.test, config.transform, config.batch_size, config.workers, with_masks=True)
            results = evaluation.evaluate(detector, data, test, folder, config)
        phases.report()
    return results


def predict(method: Method, text: str, argv) -> int:
    args, config = cli.prediction_options(text, method.config, argv, method.name)
    paths = prediction.find_images(args.image_path)
    set_device(config.device_target, config.device_id)
    folder = cli.output_folder(config, method.name) / config.category[0]
    if args.model_path:
        detector, config = cli.with_model(method.config, args, method.name)
    else:
        detector = method.detector.load(folder, config, method.load_backbone(config))
    return prediction.predict(detector, paths, config, args, folder / "predict")


def export_model(method: Method, text: str, argv):
    args, config = cli.export_options(text, method.config, argv, method.name, method.presets)
    set_device(config.device_target, config.device_id)
    weights, suffix = method.load_backbone(config), export.SUFFIXES[args.file_format]
    folder = cli.output_folder(config, method.name)
    if args.part == "backbone":
        target = args.file_name or folder / f"{config.backbone}{suffix}"
        export.export_backbone(weights, method.layers, config, target, args.file_format, args.export_batch_size)
    else:
        category = config.category[0]
        target = args.file_name or folder / category / f"{method.name}_{category}{suffix}"
        detector = method.detector.load(folder / category, config, weights)
        cell = method.deployed(detector)
        export.export(detector, cell, config, category, target, args.file_format, args.export_batch_size)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")
