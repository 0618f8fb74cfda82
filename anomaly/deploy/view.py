"""The way from a photograph to a picture, as the description of an exported model has it."""

from typing import Any

from anomaly.data import roi
from anomaly.data.tiles import Tiles
from anomaly.data.transform import Transform
from anomaly.run.options import LARGEST


def views(transform: Transform) -> dict:
    """What else there is to know of the way from a photograph to a picture; most have nothing else."""
    found: dict = {"tile": {"overlap": transform.overlap}} if isinstance(transform, Tiles) else {}
    found |= {"keep_aspect": True} if transform.keep_aspect else {}
    return found | ({"roi": transform.region} if transform.region else {})


def transform_of(info: dict) -> Transform:
    resize, crop = _size(info["resize"]), _size(info["crop"]) if info["crop"] else None
    region = roi.parse(str(info.get("roi", "")))
    if "tile" in info:
        found: Transform = Tiles(resize, None, False, region, float(info["tile"]["overlap"]))
    else:
        found = Transform(resize, crop, bool(info.get("keep_aspect", False)), region)
    if _size(info["size"]) != found.size:
        raise ValueError("the model takes another size than photographs are brought to")
    return found


def _size(sides: Any) -> tuple:
    height, width = sides
    return count(height), count(width)


def count(number: Any) -> int:
    if type(number) is not int or not 1 <= number <= LARGEST:
        raise ValueError("no number of pixels or images")
    return number
