"""Judges photographs with a trained {title}: one line for each, and a picture of what it sees.

python {method}/predict.py --category bottle --image_path photo.png [--model_path bottle.onnx]
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.commands import common, watch
from anomaly.commands.asked import Asked, find, require_places
from anomaly.commands.common import MODEL, Chosen
from anomaly.config import Config
from anomaly.data.images import write_image
from anomaly.deploy import state
from anomaly.detector import Detector, Fitted, Judging
from anomaly.measure.calibration import ANOMALOUS
from anomaly.measure.judgement import Judgement
from anomaly.methods import Method
from anomaly.run import device, leftovers
from anomaly.run.errors import DataError, UsageError, tell
from anomaly.run.files import claim, csv_text, write_json, write_text
from anomaly.run.options import PREDICT
from anomaly.run.streams import shown
from anomaly.run.threads import Background
from anomaly.show import maps, pictures
from anomaly.show.captions import with_caption
from anomaly.show.tables import RANDOM_MARK

ANOMALY = 3  # exit code
FIRST = ("path", "verdict", "score", "normalised", "threshold", "method", "backbone")
COLUMNS = (*FIRST, "regions", "pixel_threshold")
HEADER = ",".join(FIRST)  # of the CSV, as far as every version has it


def flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--image_path", type=Path, nargs="+", required=True, help="photographs, or folders of them; several are allowed"
    )
    group.add_argument(MODEL[0], type=Path, help=MODEL[1])
    common.add_checkpoint(group, PREDICT)
    group.add_argument("--save_csv", type=Path, help="write the verdicts to this file too")
    group.add_argument("--save_json", type=Path, help="write the verdicts to this file too")
    group.add_argument("--contours", action="store_true", help="write the outline of each region into the JSON too")
    group.add_argument(
        "--save_masks", action="store_true", help="write a mask of each photograph, white where it is anomalous"
    )
    group.add_argument(
        "--save_maps",
        choices=(maps.NUMBERS, maps.GREY),
        help=f"write the anomaly map of each, at the photograph's size; {maps.NUMBERS}: its values, {maps.GREY}: 16 "
        f"bits of grey, in which {maps.MIDDLE} is the threshold",
    )
    group.add_argument("--no_pictures", action="store_true", help="draw nothing")
    group.add_argument(
        "--watch",
        action="store_true",
        help="go on with what appears in --image_path, one folder, and add to --save_csv, or to lines of JSON in "
        "--save_json FILE.jsonl; anomaly watch has more options for that",
    )
    group.add_argument("--fail_on_anomaly", action="store_true", help=f"exit code {ANOMALY} if anything is anomalous")


def run(method: Method, argv: Optional[Sequence[str]] = None) -> int:
    chosen = common.parse(method, PREDICT, text=str(__doc__), argv=argv, own=flags)
    args = chosen.args
    name = common.category_of_model(chosen) if args.model_path else chosen.one_category()
    folder = chosen.output / name
    found = None if args.model_path else state.read(folder)
    asked = Asked((), {}) if args.watch else find(args.image_path)
    require_places(
        asked,
        files=() if args.watch else ((args.save_csv, (HEADER,)), (args.save_json, ('[\n  {\n    "path"', "[]"))),
        folders=[folder / each for each in drawn(args)],
    )
    device.end_in_order()
    detector: Detector = common.open_model(chosen) if found is None else method.load(found, chosen.given)
    config = detector.config if isinstance(detector, Fitted) else chosen.open
    if args.watch:
        return watched(args, detector, config=config, folder=folder)
    for kind, value in drawn(args).items():
        claim(folder / kind, (maps.file_of(asked.place(each), value) for each in asked.samples))
    return predict(chosen, detector, asked=asked, config=config, folder=folder)


def drawn(args: argparse.Namespace) -> dict:
    """Folder of the results -> whether, and as what, there is a file of each photograph in it."""
    wanted = {"predict": not args.no_pictures, "masks": args.save_masks, "maps": args.save_maps}
    return {name: value for name, value in wanted.items() if value}


def predict(chosen: Chosen, detector: Detector, *, asked: Asked, config: Config, folder: Path) -> int:
    """Prints one line an image, draws into `folder`, and returns the command's exit code."""
    args, unreadable, rows = chosen.args, [], []
    wanted, mark = drawn(args), "RANDOM BACKBONE" if detector.backbone.is_random else ""
    files = [folder / kind / asked.place(each) for kind in wanted for each in asked.samples]
    files += filter(None, (args.save_csv, args.save_json))
    leftovers.clear({path.parent for path in files})

    def report(error: DataError) -> None:
        unreadable.append(error)
        tell(error)

    judging = Judging(
        detector, asked.samples, config.batch_size, config.workers, with_photographs=bool(wanted), on_error=report
    )
    with Background() as background:
        for judgement in judging:
            rows.append(row(judgement, detector, contours=args.contours))
            print(line(judgement), flush=True)
            for kind, value in wanted.items():
                place = folder / kind / asked.place(judgement.sample)
                background(write, kind, value, judgement=judgement, place=place, mark=mark)
    if detector.backbone.is_random:
        print(RANDOM_MARK)
    for kind in wanted if rows else ():
        print(f"{'pictures' if kind == 'predict' else kind}: {folder / kind}")
    save(rows, args.save_csv, json_path=args.save_json)
    if unreadable:
        return DataError.exit_code
    return ANOMALY if args.fail_on_anomaly and any(each["verdict"] == ANOMALOUS for each in rows) else 0


def watched(args: argparse.Namespace, detector: Detector, *, config: Config, folder: Path) -> int:
    """The same with what appears in a folder, until a signal comes."""
    results = [path for path in (args.save_csv, args.save_json) if path]
    if len(args.image_path) != 1 or len(results) != 1 or args.contours or args.fail_on_anomaly:
        raise UsageError(
            "--watch: takes one folder as --image_path and one of --save_csv and --save_json, and neither --contours "
            "nor --fail_on_anomaly"
        )
    mark = "RANDOM BACKBONE" if detector.backbone.is_random else ""
    below = Path(os.path.abspath(args.image_path[0]))

    def draw(judgement: Judgement) -> None:
        place = judgement.sample.path.relative_to(below)
        for kind, value in drawn(args).items():
            picture = folder / kind / place.parent / pictures.file_name(place)
            write(kind, value, judgement=judgement, place=picture, mark=mark)

    return watch.follow(
        detector,
        below,
        results=results[0],
        batch_size=config.batch_size,
        workers=config.workers,
        also=draw if drawn(args) else None,
        apart=(folder,),
    )


def write(kind: str, value: str, *, judgement: Judgement, place: Path, mark: str) -> None:
    if kind == "predict":
        picture = pictures.on_photograph(judgement)
        write_image(place, with_caption(picture, judgement, name=judgement.sample.path.name, mark=mark))
    elif kind == "masks":
        write_image(place, maps.mask(judgement))
    else:
        maps.write(place, judgement, kind=value)


def line(judgement: Judgement) -> str:
    """The normalised score, or without a threshold the raw one."""
    value = judgement.score if judgement.normalised is None else judgement.normalised
    return f"{judgement.verdict:9}  {value:.4f}  {shown(judgement.sample.path)}"


def row(judgement: Judgement, detector: Detector, *, contours: bool) -> dict:
    return {
        "path": str(judgement.sample.path),
        "verdict": judgement.verdict,
        "score": judgement.score,
        "normalised": judgement.normalised,
        "threshold": judgement.threshold,
        "pixel_threshold": judgement.scales.pixel.threshold if judgement.scales.known else None,
        "method": detector.method,
        "backbone": detector.backbone.label,
        "regions": [region.as_dict(contour=contours) for region in judgement.regions],
    }


def save(rows: list, csv_path: Optional[Path], *, json_path: Optional[Path]) -> None:
    if csv_path:
        cells = ({**each, "regions": json.dumps(each["regions"], separators=(",", ":"))} for each in rows)
        write_text(csv_path, csv_text(COLUMNS, cells))
    if json_path:
        write_json(json_path, rows)
