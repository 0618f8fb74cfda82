"""The loop: what is judged, written down, put aside, and said."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import tiny_model
from tiny_model import photograph

from anomaly.data.images import encode
from anomaly.line import watching
from anomaly.line.arrivals import Arrivals
from anomaly.line.aside import LINK, MOVE
from anomaly.line.drift import Drift
from anomaly.line.journal import Journal
from anomaly.line.uploads import Limits
from anomaly.line.watching import Behind, Watch
from anomaly.measure.calibration import ANOMALOUS, NORMAL
from anomaly.run.errors import DataError


class Place:
    """A folder, its results, and what was said."""

    def __init__(self, folder: Path, detector) -> None:
        self.folder, self.results, self.out = folder / "in", folder / "results.jsonl", folder / "out"
        self.folder.mkdir()
        self.detector, self.said, self.told = detector, [], []

    def put(self, name: str, *, seed: int = 0, **more) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(photograph(seed, **more), path.suffix))
        return path

    def watch(self, *, patience: float = 0, run: bool = True, **more) -> Watch:
        with Journal(self.results) as journal:
            arrivals = Arrivals(self.folder, journal.done, self.told.append, patience=patience)
            drift = Drift(self.detector.calibration, self.detector.scales)
            made = Watch(self.detector, arrivals, journal, drift, say=self.said.append, tell=self.told.append, **more)
            if run:
                made.run(0.01, once=True)
        return made

    @property
    def rows(self) -> dict:
        lines = [json.loads(line) for line in self.results.read_text().splitlines()]
        assert len({line["path"] for line in lines}) == len(lines), "a line twice"
        return {os.path.relpath(line["path"], self.folder): line for line in lines}


@pytest.fixture
def place(tmp_path, detector) -> Place:
    return Place(tmp_path, detector)


def test_what_it_says_is_what_the_detector_says(place, detector):
    paths = [place.put(f"sub/{number}.png", seed=number, defect=number % 2 == 1, side=80) for number in range(5)]
    place.watch(batch_size=2)
    assert len(place.rows) == 5 and len(place.said) == 5
    for path in paths:
        row, judged = place.rows[os.path.relpath(path, place.folder)], detector.judge(path)
        assert (row["score"], row["verdict"], row["threshold"]) == (judged.score, judged.verdict, judged.threshold)
        assert row["regions"] == [region.as_dict() for region in judged.regions]
        assert row["verdict"] == (ANOMALOUS if int(path.stem) % 2 else NORMAL)
        assert f"{judged.verdict:9}  {judged.normalised:.4f}  {path}" in place.said


def test_started_again_it_goes_on(place):
    for number in range(3):
        place.put(f"{number}.png", seed=number)
    place.watch()
    place.said.clear()
    place.put("3.png", seed=3)
    os.utime(place.folder / "0.png")  # its time has changed, and nothing else
    again = place.watch()
    assert (again.count, len(place.said), len(place.rows)) == (1, 1, 4)
    assert again.drift.picture.number == 4  # those of before count


def test_a_name_that_is_used_again_for_another_photograph_is_judged_again(place):
    place.put("0.png")
    place.watch()
    place.put("0.png", seed=1, defect=True)
    place.watch()
    lines = [json.loads(line) for line in place.results.read_text().splitlines()]
    assert [line["verdict"] for line in lines] == [NORMAL, ANOMALOUS]


def test_bad_files_are_one_line_each_and_are_not_tried_for_ever(place):
    place.put("good.png")
    place.put("large.png", side=200)
    (place.folder / "empty.png").touch()
    (place.folder / "words.jpg").write_text("words\nand\nmore")
    (place.folder / "line\nbreak.png").write_text("x")
    whole = place.put("cut.png").read_bytes()
    (place.folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    place.watch(limits=Limits(megapixels=0.01))
    bad = {name for name, row in place.rows.items() if row["verdict"] == "UNREADABLE"}
    assert bad == {"empty.png", "words.jpg", "line\nbreak.png", "cut.png", "large.png"}
    assert "200 x 200 pixels" in place.rows["large.png"]["error"]
    assert all(place.rows[name]["error"] and place.rows[name]["score"] is None for name in bad)
    assert len(place.said) == 1 and len(place.told) == 5 and not any("\n" in line for line in place.told)
    assert place.watch().count == 0
    (place.folder / "cut.png").write_bytes(whole)  # it was only slow
    assert place.watch().count == 1


def test_what_is_too_large_a_file_is_not_read(place, monkeypatch):
    path = place.put("a.png")
    with open(path, "r+b") as file:
        file.truncate(2_000_000)
    monkeypatch.setattr(watching, "content_of", None)
    place.watch(limits=Limits(megabytes=1))
    assert place.rows["a.png"]["verdict"] == "UNREADABLE" and "2.0 MB; up to 1 " in place.rows["a.png"]["error"]


def test_a_photograph_that_is_still_being_written_is_waited_for(place):
    path = place.put("slow.png")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])

    def finish():
        time.sleep(0.3)
        path.write_bytes(whole)

    thread = threading.Thread(target=finish)
    thread.start()
    place.watch(patience=30)
    thread.join()
    assert place.rows["slow.png"]["verdict"] == NORMAL and place.told == []


@pytest.mark.parametrize("how", [MOVE, LINK])
def test_anomalous_ones_are_put_aside_also_after_a_kill(place, how):
    place.put("sub/bad.png", defect=True)
    place.put("good.png")
    place.watch()  # as if it had been killed before it moved anything
    assert not place.out.exists()
    place.put("sub/late.png", seed=1, defect=True)
    place.watch(aside=(place.out, how))
    assert {path.name for path in (place.out / "sub").iterdir()} == {"bad.png", "late.png"}
    assert not (place.out / "good.png").exists()
    assert (place.folder / "sub" / "bad.png").exists() is (how == LINK)
    assert len(place.rows) == 3


@pytest.mark.parametrize("how", [MOVE, LINK])
def test_a_photograph_that_comes_under_the_name_of_one_being_judged_is_not_taken_for_it(place, how):
    path = place.put("a.png", defect=True)

    def come(judgement):
        if judgement.verdict == ANOMALOUS:
            place.put("new.png", seed=1).replace(path)

    place.watch(aside=(place.out, how), also=come)
    assert path.exists() and not place.out.exists()
    lines = [json.loads(line) for line in place.results.read_text().splitlines()]
    assert [line["verdict"] for line in lines] == [ANOMALOUS, NORMAL]


def test_where_nothing_can_be_put_it_goes_on(place, tmp_path):
    place.put("bad.png", defect=True)
    (tmp_path / "file").touch()
    place.watch(aside=(tmp_path / "file", MOVE))
    assert "stays where it is" in place.told[0] and len(place.rows) == 1 and (place.folder / "bad.png").exists()


def test_what_does_not_fit_the_detector_is_recorded_and_the_others_are_judged(place, detector):
    region = replace(detector.transform, region="rle:40x40:0,1600")
    place.detector = replace(detector, transform=region)
    place.put("square.png", side=80)
    path = place.folder / "wide.png"
    path.write_bytes(cv2.imencode(".png", photograph()[:20])[1].tobytes())
    place.watch()
    assert place.rows["square.png"]["verdict"] == NORMAL
    assert "proportions" in place.rows["wide.png"]["error"]


def test_a_detector_that_fails_ends_it_and_nothing_is_written_down(place, detector):
    def fail(images):
        raise DataError("the engine has failed")

    place.detector = replace(detector, run=fail)
    place.put("a.png")
    with pytest.raises(DataError, match="engine"):
        place.watch()
    assert place.results.read_bytes() == b""


def test_a_signal_ends_it_after_the_batch_at_hand(place):
    for number in range(6):
        place.put(f"{number}.png", seed=number)
    stop = threading.Event()
    seen = []

    def also(judgement):
        seen.append(judgement)
        stop.set()

    assert place.watch(stop=stop, also=also, batch_size=2).count == 2
    assert len(place.rows) == len(place.said) == 2
    assert all(each.photograph is not None for each in seen)


def test_falling_behind_is_said_now_and_then_and_taken_back():
    told = []
    behind = Behind(told.append)
    behind.look(3, 1.0, now=0)
    behind.look(50, 11.0, now=10)
    behind.judged += 30
    behind.look(60, 20.0, now=20)
    behind.look(90, 80.0, now=10 + watching.REMIND)
    behind.look(0, 0.0, now=100)
    assert [line.split(",")[0] for line in told] == [
        "behind: 50 photographs wait",
        "behind: 90 photographs wait",
        "caught up",
    ]
    assert "0.5 a second" in told[1]


def test_drift_is_said(place):
    for number in range(40):
        place.put(f"{number:03}.png", seed=number, level=tiny_model.GREY + 5)
    watch = place.watch()
    assert watch.drift.picture.drifted and sum("score higher than" in line for line in place.told) == 1
