"""The photographs of training that decide the threshold, as the detector saw them when each was left out."""

from collections.abc import Iterator
from dataclasses import replace

from anomaly.data.loader import batches
from anomaly.data.samples import names
from anomaly.detector import Detector, Fitted
from anomaly.measure import rates
from anomaly.measure.judgement import Judgement, judgement

FOLDER = "train"  # of their pictures


def judgements(detector: Detector, train: tuple) -> Iterator[Judgement]:
    """Of a detector that can still leave photographs out, where they are the ones that it was trained on."""
    if not isinstance(detector, Fitted):
        return
    place = {name: number for number, name in enumerate(names(sample.path for sample in train))}
    if not set(detector.calibration.names) <= place.keys():
        return
    for each in rates.deciding(detector.calibration, detector.scales.choice):
        if each.name not in place:
            continue
        number = place[each.name]
        [batch] = batches((train[number],), detector.transform)
        values = detector.left_out(batch.images, number)
        yield judgement(
            each.score,
            values[0],
            scales=detector.scales,
            sample=replace(train[number], defect=FOLDER),
            image=batch.images[0],
        )
