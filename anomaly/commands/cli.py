"""What the commands of all methods share: flags, one line for what goes wrong, one run for each category."""

import argparse
import dataclasses
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import mindspore

from anomaly.data.layouts import Category, choose
from anomaly.deploy import engines, state
from anomaly.deploy.export import DYNAMIC
from anomaly.deploy.model_file import SUFFIXES
from anomaly.networks.weights import Backbone
from anomaly.run import options
from anomaly.run.errors import DataError, UsageError, first_line
from anomaly.run.progress import log
from anomaly.show import tables as report

ROOT = Path(__file__).resolve().parents[2]


def guarded(main: Callable) -> int:
    """Runs a command; what the user can mend is one line and an exit code, 2 for usage and 1 for the rest."""
    try:
        return main() or 0
    except KeyboardInterrupt:
        code, line = 130, "stopped"
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        code, line = explain(error)
    print(f"error: {line}", file=sys.stderr)
    return code


def explain(error: Exception) -> tuple:
    """Exit code and one line."""
    if isinstance(error, DataError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return 1, f"out of memory ({error}); try a smaller --resize, --coreset_ratio or --batch_size"
    if isinstance(error, OSError) and error.strerror:
        return 1, f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return 1, f"unexpected: {type(error).__name__}: {first_line(error, 300)} (--debug shows where)"


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UsageError(f"{message} (--help lists the options)")


def _parser(text: str, cls, leave_out: tuple = ()) -> Parser:
    """The options of a method, and the flags that are none."""
    parser = Parser(description=text, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_flags(parser, cls, leave_out)
    parser.add_argument("--config", type=Path, help="YAML file with options; flags go before it")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def training_options(text: str, cls, argv, presets: Path) -> tuple:
    """The arguments, and the options they make with the preset."""
    args = _parser(text, cls).parse_args(argv)
    return args, options.resolve(cls, args, presets)


def evaluation_options(text: str, cls, argv) -> tuple:
    """The arguments, for `read_back`, and what they say without a look at any state."""
    parser = _parser(text, cls)
    parser.add_argument("--model_path", type=Path, help="an exported .mindir or .onnx, instead of a trained state")
    args = _parse_trained(parser, argv)
    return args, options.untrained(cls, args)


def export_options(text: str, cls, argv, method: str, presets: Path) -> tuple:
    parser = _parser(text, cls, leave_out=("dataset_path", "pictures", "batch_size"))
    parser.add_argument("--file_format", choices=tuple(SUFFIXES), default="MINDIR", help="default: MINDIR")
    parser.add_argument("--part", choices=("all", "backbone"), default="all", help="backbone: the features alone")
    parser.add_argument("--batch_size", dest="batch", default="1", help="images at once, or dynamic; default: 1")
    parser.add_argument("--file_name", type=Path, help="file to write; default: below the category's state")
    args = _parse_trained(parser, argv, ("--ckpt_file", "--state"))
    args.batch, suffix = _batch(args.batch), SUFFIXES[args.file_format]
    if args.file_name and args.file_name.suffix != suffix:
        raise UsageError(f"--file_name {args.file_name}: the name of an {args.file_format} file ends in {suffix}")
    if args.part == "backbone":
        return args, options.resolve(cls, args, presets)
    category = options.untrained(cls, args).category
    if len(category) != 1:
        raise UsageError("--category is needed, or --ckpt_file with the trained checkpoint")
    return args, read_back(cls, args, method, category[0])


def _batch(text: str) -> Optional[int]:
    """None stands for any number of images."""
    try:
        return None if text == DYNAMIC else options.positive(text)
    except ValueError:
        raise UsageError(f"--batch_size: {text!r} is not allowed (1 or more, or {DYNAMIC})") from None


def _parse_trained(parser: Parser, argv, aliases: tuple = ()) -> argparse.Namespace:
    """With --ckpt_path, which stands for the folder and the category in which it lies."""
    parser.add_argument("--ckpt_path", *aliases, type=Path, help="a file of the trained state, instead of --output_dir")
    args = parser.parse_args(argv)
    if args.ckpt_path and getattr(args, "part", "") == "backbone":
        args.pre_ckpt_path = args.pre_ckpt_path or str(args.ckpt_path)
    elif args.ckpt_path:
        if not args.ckpt_path.is_file():
            raise DataError(f"{args.ckpt_path}: no such checkpoint")
        folder = next((p for p in args.ckpt_path.resolve().parents if (p / state.RECORD).is_file()), None)
        if folder is None:
            raise DataError(f"{args.ckpt_path}: there is no {state.RECORD} beside it; it is not a trained checkpoint")
        args.output_dir = str(folder.parent)
        args.category = args.category or [folder.name]
    return args


def prediction_options(text: str, cls, argv, method: str) -> tuple:
    parser = _parser(text, cls, leave_out=("dataset_path", "pictures"))
    parser.add_argument("--image_path", type=Path, required=True, help="a photograph, or a folder of them")
    parser.add_argument("--model_path", type=Path, help="an exported .mindir or .onnx, instead of a trained state")
    parser.add_argument("--save_csv", type=Path, help="write the verdicts to this file too")
    parser.add_argument("--save_json", type=Path, help="write the verdicts to this file too")
    parser.add_argument("--no_pictures", action="store_true", help="draw nothing")
    parser.add_argument("--fail_on_anomaly", action="store_true", help="exit code 3 if anything is anomalous")
    args = _parse_trained(parser, argv)
    category = options.untrained(cls, args).category
    if len(category) != 1:
        raise UsageError("--category is needed: the one to judge by")
    if args.model_path:  # it brings its own way of resizing, see `with_model`
        return args, options.untrained(cls, args)
    return args, read_back(cls, args, method, category[0])


def preprocessing_options(text: str, cls, argv, presets: Path) -> tuple:
    """The arguments, and the options with one category."""
    parser = _parser(text, cls, leave_out=("pre_ckpt_path", "batch_size", "false_alarm_rate", "pictures"))
    parser.add_argument("--model_path", type=Path, help="prepare for this model; default: as the preset and flags say")
    args = parser.parse_args(argv)
    config = options.resolve(cls, args, presets)
    _require_one_category(config)
    if not config.output_dir:
        raise UsageError("--output_dir is needed: the folder for img/ and label/")
    return args, config


def postprocessing_options(text: str, cls, argv) -> tuple:
    parser = _parser(text, cls, leave_out=("dataset_path", "pre_ckpt_path", "batch_size"))
    parser.add_argument("--result_dir", type=Path, required=True, help="what the device has written")
    parser.add_argument(
        "--label_dir", type=Path, required=True, help="the folder label/ that preprocess.py has written"
    )
    parser.add_argument("--model_path", type=Path, help="the model that ran; default: the one of preprocess.py")
    args = parser.parse_args(argv)
    config = options.untrained(cls, args)
    _require_one_category(config)
    return args, config


def _require_one_category(config):
    if len(config.category) != 1 or config.category == ("all",):
        raise UsageError("--category is needed: one of them")


def described(path: Path, method: str) -> engines.Exported:
    return _of_method(engines.described(path), path, method)


def _of_method(model: engines.Exported, path: Path, method: str) -> engines.Exported:
    if model.method != method:
        raise DataError(f"{path}: is a model of {model.method}, not of {method}")
    return model


def with_model(cls, args: argparse.Namespace, method: str) -> tuple:
    """The detector in --model_path, and the options with its way of resizing."""
    detector = _of_method(engines.load(args.model_path), args.model_path, method)
    decided = {"resize": detector.transform.resize, "crop": detector.transform.crop, "backbone": detector.weights.name}
    for name, value in options.given(cls, args).items():
        if name in decided and value != decided[name]:
            raise DataError(f"{args.model_path}: has {name} {decided[name]}, not {value}; leave --{name} out")
    config = dataclasses.replace(options.untrained(cls, args), **decided)
    if detector.category not in config.category and config.category != ("all",):
        print(f"note: {args.model_path} is of category {detector.category}", file=sys.stderr)
    return detector, config


def read_back(cls, args: argparse.Namespace, method: str, category: str):
    """The options with which a category was trained, and those flags that may still be chosen."""
    folder = output_folder(options.untrained(cls, args), method) / category
    return options.read_back(cls, state.require(folder, method), args)


def output_folder(config, method: str) -> Path:
    return Path(config.output_dir) if config.output_dir else ROOT / "output" / method


def categories(config) -> list:
    """The categories asked for, after checking that they are there."""
    if not config.dataset_path:
        raise UsageError("--dataset_path is needed: the folder that holds the categories")
    return choose(Path(config.dataset_path), config.category)


def announce(config, method: str, data: Category, weights: Backbone):
    log.info(
        "%s, category %s: %d good images to train on, %d test images; %s, %s, on %s",
        method,
        data.name,
        len(data.train),
        len(data.test),
        weights.name,
        config.transform,
        mindspore.get_context("device_target"),
    )
    log.info("%s", report.RANDOM_MARK if weights.is_random else f"weights: {weights.source}")


def each(names: list, run: Callable) -> int:
    """Runs every category, and prints one table of several; one that fails does not keep the others from running."""
    results, failed = [], []
    for name in names:
        if len(names) > 1:
            print(f"\n== {name}", flush=True)
        try:
            results += filter(None, [run(name)])  # of several processes only one has results
        except DataError as error:
            if len(names) == 1:
                raise
            print(f"error: {error}", file=sys.stderr)
            failed.append(name)
    if len(names) > 1 and results:
        print(f"\n{report.table(results)}")
    if failed:
        raise DataError(f"failed: {', '.join(failed)}")
    return 0
