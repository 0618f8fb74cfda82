"""All commands of a method but train.py: they differ in nothing but the method."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from anomaly.commands import cli, prediction
from anomaly.data import loader
from anomaly.data.layouts import load_category
from anomaly.deploy import engines, exchange, export
from anomaly.deploy.model_file import SUFFIXES
from anomaly.measure import evaluation
from anomaly.run.device import set_device
from anomaly.run.errors import DataError
from anomaly.run.files import read_json, require_writable
from anomaly.run.progress import Phases, logging_to


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
    compact: Optional[Callable] = None  # a detector -> the same in less space, for files that it would not fit


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
    weights, suffix = method.load_backbone(config), SUFFIXES[args.file_format]
    folder = cli.output_folder(config, method.name)
    if args.part == "backbone":
        target = args.file_name or folder / f"{config.backbone}{suffix}"
        target = export.export_backbone(weights, method.layers, config, target, args.file_format, args.batch)
    else:
        category = config.category[0]
        target = args.file_name or folder / category / f"{method.name}_{category}{suffix}"
        detector = method.detector.load(folder / category, config, weights)
        target = export.export(method, detector, config, category, target, args.file_format, args.batch)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB)")


def preprocess(method: Method, text: str, argv):
    args, config = cli.preprocessing_options(text, method.config, argv, method.presets)
    [name], folder = cli.categories(config), Path(config.output_dir)
    model = cli.described(args.model_path, method.name) if args.model_path else None
    if folder.resolve().is_relative_to(Path(config.dataset_path).resolve() / name):
        raise DataError(f"{folder}: is among the photographs; choose another --output_dir")
    require_writable(folder)
    data = load_category(config.dataset_path, name)
    if not data.test:
        raise DataError(f"{Path(config.dataset_path) / name / 'test'}: holds no image")
    description = read_json(args.model_path.with_suffix(".json")) if model else None
    about = {"method": method.name, "category": name, "model": description}
    exchange.write(data, model.transform if model else config.transform, folder, config.workers, about)
    print(f"{len(data.test)} images of {model.transform.size if model else config.transform.size}: {folder}")


def postprocess(method: Method, text: str, argv):
    args, config = cli.postprocessing_options(text, method.config, argv)
    index = exchange.read_index(args.label_dir)
    if (index["method"], index["category"]) != (method.name, config.category[0]):
        raise DataError(f"{args.label_dir}: is of {index['method']}, category {index['category']}")
    folder = Path(config.output_dir) if config.output_dir else args.result_dir
    returned = exchange.Returned(args.label_dir, args.result_dir, index)
    if args.model_path:
        model = cli.described(args.model_path, method.name)
    elif index["model"]:
        source = args.label_dir / exchange.INDEX
        model = engines.from_description(index["model"], source, source)
    else:
        model = engines.unknown(method.name)
    require_writable(folder)
    with logging_to(folder / "postprocess.log"):
        evaluation.evaluate(model, returned.category, returned.batches(), folder, config, returned.score)
