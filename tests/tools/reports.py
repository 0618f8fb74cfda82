"""Reports of judgements that no detector has made, and a browser to look at them."""

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from selenium.webdriver.support.ui import WebDriverWait

from anomaly.data.samples import Sample
from anomaly.measure.calibration import Calibration, Choice, Scales
from anomaly.measure.evaluation import evaluate
from anomaly.measure.judgement import Judgement
from anomaly.networks.registry import Backbone
from anomaly.show import tables
from anomaly.show.report import page
from anomaly.show.report.gallery import Gallery

BACKBONE = Backbone("resnet18", "resnet18.pth")


def calibration(number: int = 40, seed: int = 0) -> Calibration:
    """Of good photographs with scores around 2."""
    scores = 2 + 0.3 * np.random.default_rng(seed).standard_normal(number)
    return Calibration(scores, scores + 0.5, tuple(f"{n:03}.png" for n in range(number)))


def judged(name: str, score: float, *, scales: Scales, shape: tuple = (64, 64), with_mask: bool = True) -> Judgement:
    """A photograph of noise with a spot in its middle that is as bad as the score says; `name`: <kind>/<file>."""
    rng = np.random.default_rng(zlib.crc32(name.encode("utf-8", "surrogatepass")))
    image = rng.integers(90, 160, (*shape, 3), dtype=np.uint8)
    defect, _, called = name.partition("/")
    sample = Sample(Path("photos", defect, called), defect, called=called)
    mask = np.zeros(shape, bool)
    if sample.anomalous:
        mask[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = True
    values = np.full(shape, 1.0, np.float32)
    values[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = score + 0.5
    return Judgement(score, values, scales, sample, image, mask=mask if with_mask or not sample.anomalous else None)


def several(scales: Scales, *, good: int = 12, bad: int = 12, seed: int = 1, **more) -> list:
    """Good ones around 2.2, defective ones of two kinds around 2.8: some are on the wrong side."""
    rng = np.random.default_rng(seed)
    found = [judged(f"good/{n:03}.png", 2.2 + 0.4 * rng.standard_normal(), scales=scales, **more) for n in range(good)]
    for n in range(bad):
        name = f"{('hole', 'scratch')[n % 2]}/{n:03}.png"
        found.append(judged(name, 2.8 + 0.5 * rng.standard_normal(), scales=scales, **more))
    return found


def write(
    folder: Path,
    judgements: list,
    *,
    known: Calibration,
    choice: Optional[Choice] = None,
    category: str = "lid",
    backbone: Backbone = BACKBONE,
) -> Path:
    """The report of these, as an evaluation writes it."""
    scales = known.at(choice or Choice())
    gallery = Gallery(len(judgements))
    evaluation = evaluate(gallery.collected(judgements))
    about = tables.about("patchcore", category, backbone=backbone, remark="", scales=scales, trained_on=40)
    results = {
        **tables.record(evaluation, about),
        **tables.threshold(known, evaluation.images, scales=scales),
        "seconds_per_image": 0.01,
    }
    folder.mkdir(parents=True, exist_ok=True)
    page.write(folder, results, evaluation=evaluation, gallery=gallery, good=(known, scales))
    return folder / page.NAME


def data_in(path: Path) -> dict:
    """What a report computes with, read back from its file."""
    [found] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found)


@dataclass(frozen=True)
class Browser:
    """A real one, without a window."""

    driver: object

    def open(self, path: Path, *, width: int = 1280, dark: bool = False) -> None:
        self.device(width, dark=dark)
        self.driver.get(path.resolve().as_uri())
        self.errors()

    def device(self, width: int, *, dark: bool = False) -> None:
        call = self.driver.execute_cdp_cmd
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        call("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        call("Emulation.setEmulatedMedia", {"features": [scheme]})

    def errors(self) -> list:
        """What the console has said since this was last asked."""
        return [line["message"] for line in self.driver.get_log("browser")]

    def js(self, text: str, *arguments):
        return self.driver.execute_script(text, *arguments)

    def wait(self, text: str, seconds: float = 5):
        """Until an expression holds."""
        return WebDriverWait(self.driver, seconds, poll_frequency=0.02).until(lambda _: self.js(f"return {text}"))
