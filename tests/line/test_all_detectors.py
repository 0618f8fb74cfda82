"""Whatever judges, judges in the service as it does elsewhere: states of each method, in pieces, and in MindSpore."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

import anomaly
from anomaly.data.tiles import Tiles
from anomaly.line.room import Room
from anomaly.line.uploads import Limits

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PHOTOGRAPHS = sorted((GOLDEN / "photographs" / "gear" / "test").rglob("*.png"))


def answers(detector, *, at_once: int) -> list:
    """Of all photographs, so many asked for together."""
    room = Room({"one": detector}, limits=Limits(), batch_size=4, window=100, tell=print)

    async def asked() -> list:
        gate = asyncio.Semaphore(at_once)

        async def one(path: Path) -> dict:
            async with gate:
                return await room.predict(path.read_bytes(), model="one", name=path.name, shown="none")

        return await asyncio.gather(*map(one, PHOTOGRAPHS))

    found = asyncio.run(asked())
    room.close()
    return found


def compare(detector, *, at_once: int, close: float) -> None:
    for path, found in zip(PHOTOGRAPHS, answers(detector, at_once=at_once)):
        judged = detector.judge(path)
        assert found["verdict"] == judged.verdict
        assert found["score"] == (judged.score if not close else pytest.approx(judged.score, rel=close))
        assert [each["box"] for each in found["regions"]] == [list(each.box) for each in judged.regions]


@pytest.mark.parametrize("method", ["patchcore", "padim", "fastflow"])
def test_a_state_of_each_method(method):
    detector = anomaly.load(GOLDEN / method / "gear", device_target="CPU")
    compare(detector, at_once=1, close=0)
    compare(detector, at_once=8, close=1e-5)


def test_a_photograph_in_pieces():
    detector = anomaly.load(GOLDEN / "patchcore" / "gear", device_target="CPU")
    detector = replace(detector, transform=Tiles((32, 32)))
    assert len(detector.transform.pieces((anomaly.Sample(PHOTOGRAPHS[0]),))) > 1
    compare(detector, at_once=1, close=1e-6)
    compare(detector, at_once=8, close=1e-5)


def test_a_region_for_each_photograph_is_found_by_the_name_of_the_upload(tmp_path):
    detector = anomaly.load(GOLDEN / "patchcore" / "gear", device_target="CPU")
    detector = replace(detector, transform=replace(detector.transform, region=f"folder:{tmp_path}"))
    with pytest.raises(Exception, match="has no region"):
        answers(detector, at_once=1)
    for path in PHOTOGRAPHS:
        mask = path.parents[2] / "ground_truth" / "rust" / "000_mask.png"
        (tmp_path / path.name).write_bytes(mask.read_bytes())
    compare(detector, at_once=1, close=0)


def test_in_mindspore_where_the_main_thread_does_something_else():
    detector = anomaly.load(GOLDEN / "patchcore" / "gear", device_target="CPU", engine="mindspore")
    assert not detector.runs_beside
    compare(detector, at_once=8, close=1e-5)
