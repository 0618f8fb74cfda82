"""From what lies on a disk back to a detector."""

from pathlib import Path
from typing import Any, Optional, Union

from anomaly import methods
from anomaly.config import THRESHOLD
from anomaly.deploy import exported, state
from anomaly.detector import Detector
from anomaly.engines.choice import AUTO
from anomaly.measure.calibration import changed
from anomaly.networks.registry import Backbone
from anomaly.run.errors import DataError, UsageError
from anomaly.run.options import known


def load(path: Union[str, Path], *, network: Optional[Backbone] = None, **chosen: Any) -> Detector:
    """The folder of a state, or an exported .onnx or .mindir -> a detector.

    `chosen`: options that are open after training (false_alarm_rate, pre_ckpt_path, device_target, ...). `network`:
    another detector's `.backbone`, so that it is not loaded again.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; a detector is the folder of a state, an .onnx or a .mindir")
    path = folder_of_record(path)
    if not path.is_dir():
        target, number = str(chosen.pop("device_target", "")), int(chosen.pop("device_id", 0))
        engine = str(chosen.pop("engine", AUTO))
        detector: Detector = exported.load(path, target, device_id=number, engine=engine)
        unknown = chosen.keys() - set(THRESHOLD)
        if unknown:
            raise UsageError(f"{path}: an exported model has no option {', '.join(sorted(unknown))}")
        choice = changed(detector.scales.choice, chosen)
        return detector if choice is None else detector.with_choice(choice)
    found = state.read(path)
    method = methods.get(found.method)
    return method.load(found, known(method.config, chosen, where=str(path)), backbone=network)


def folder_of_record(path: Path) -> Path:
    """Somebody may name a state by its record instead of its folder."""
    return path.parent if path.name == state.RECORD and path.is_file() else path
