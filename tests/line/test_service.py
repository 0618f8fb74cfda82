"""The service, over real connections: answers, refusals, limits, the token, figures, and the page."""

import base64
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tiny_model
from served import BAD, GOOD, served
from shell import until
from tiny_model import photograph

import anomaly
from anomaly.data.images import encode
from anomaly.data.tiles import Tiles
from anomaly.line import room as rooms
from anomaly.line import serving
from anomaly.line.uploads import Limits
from anomaly.show import maps

FORM = "multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def running(detector, tmp_path_factory):
    other = anomaly.load(tiny_model.write(tmp_path_factory.mktemp("b") / "one.onnx", batch=1, category="lid"))
    with served({"part": detector, "lid": other}) as made:
        yield made


def test_the_answer_is_that_of_judge_bit_for_bit(running, detector, tmp_path):
    for content in (GOOD, BAD):
        (tmp_path / "a.png").write_bytes(content)
        judged = detector.judge(tmp_path / "a.png")
        status, found, _ = running.ask("/predict?model=part", content)
        assert status == 200
        assert found == {
            "model": "part",
            "verdict": judged.verdict,
            "score": judged.score,
            "normalised": judged.normalised,
            "threshold": judged.threshold,
            "height": 100,
            "width": 100,
            "regions": [region.as_dict() for region in judged.regions],
            "map": None,
        }
    assert len(found["regions"]) == 1


def test_maps_are_those_of_predict(running, detector):
    judged = detector.judge(cv2.cvtColor(cv2.imdecode(np.frombuffer(BAD, np.uint8), 1), cv2.COLOR_BGR2RGB))
    found = {}
    for kind in ("grey", "heat", "overlay"):
        _, answer, _ = running.ask(f"/predict?model=part&map={kind}", BAD)
        data = base64.b64decode(answer["map"])
        found[kind] = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found["grey"].dtype == np.uint16 and maps.grey(judged) == base64.b64decode(
        running.ask("/predict?model=part&map=grey", BAD)[1]["map"]
    )
    assert found["heat"].shape == (100, 100, 4) and found["overlay"].shape == (100, 100, 3)
    see_through = found["heat"][..., 3]
    assert see_through[40, 40] == 255 and see_through[90, 90] == 0


def test_many_at_once_get_what_each_asked_for(running, detector):
    pictures = [photograph(seed, defect=seed % 2 == 1) for seed in range(12)]
    expected = [detector.judge(each) for each in pictures]
    contents = [encode(each, ".png") for each in pictures]

    def one(number):
        if number % 10 == 9:
            return running.ask("/predict?model=part", contents[number % 12][:200])
        return running.ask("/predict?model=part", contents[number % 12])

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(one, range(120)))
    for number, (status, found, _) in enumerate(answers):
        if number % 10 == 9:
            assert status == 422 and found["error"]
        else:
            judged = expected[number % 12]
            assert (status, found["verdict"], found["score"]) == (200, judged.verdict, judged.score)


def form(content: bytes, name: str = 'name="image"; filename="../a.png"') -> bytes:
    return b"--x\r\nContent-Disposition: form-data; " + name.encode() + b"\r\n\r\n" + content + b"\r\n--x--\r\n"


def test_a_form_is_taken_too(running):
    body = running.ask("/predict?model=part", BAD)[1]
    assert running.ask("/predict?model=part", form(BAD), **{"Content-Type": FORM})[1] == body


ODD = {
    "no model": ("/predict", GOOD, {}, 404),
    "no such model": ("/predict?model=../../part", GOOD, {}, 404),
    "an odd map": ("/predict?model=part&map=all", GOOD, {}, 422),
    "nothing": ("/predict?model=part", b"", {}, 400),
    "words": ("/predict?model=part", b"words", {}, 415),
    "json": ("/predict?model=part", GOOD, {"Content-Type": "application/json"}, 415),
    "zipped": ("/predict?model=part", GOOD, {"Content-Encoding": "gzip"}, 415),
    "cut off": ("/predict?model=part", GOOD[:300], {}, 422),
    "a form without its boundary": ("/predict?model=part", GOOD, {"Content-Type": "multipart/form-data"}, 400),
    "a form without a file": ("/predict?model=part", form(b"1", 'name="image"'), {"Content-Type": FORM}, 400),
    "a model in the form": ("/predict?model=part", form(b"disc", 'name="model"'), {"Content-Type": FORM}, 400),
    "a form with an empty file": ("/predict?model=part", form(b""), {"Content-Type": FORM}, 400),
    "too large": ("/predict?model=part", bytes(1_000_001), {}, 413),
    "from another site": ("/predict?model=part", GOOD, {"Origin": "http://evil.example"}, 403),
    "by another name": ("/predict?model=part", GOOD, {"Host": "evil.example"}, 403),
    "no such page": ("/page.css/../../service.py", None, {}, 404),
    "only asked for": ("/predict", None, {}, 405),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_wrong_has_a_status_and_a_reason(running, kind):
    path, body, headers, wanted = ODD[kind]
    before = +running.room.counts.answers
    status, found, _ = running.ask(path, body, **headers)
    assert status == wanted and list(found) == ["error"] and found["error"] and "\n" not in found["error"]
    counted = [(wanted,)] if path.startswith("/predict") else []
    assert list((running.room.counts.answers - before).elements()) == counted


def test_a_large_upload_without_a_length_is_cut_off_and_does_not_stay_in_memory(running):
    def parts():
        for _ in range(60):
            yield bytes(1_000_000)

    before = rooms.resident()
    with suppress(ConnectionError):  # it may be told while it still sends
        assert running.ask("/predict?model=part", parts())[0] == 413
    assert rooms.resident() - before < 30e6
    assert running.ask("/predict?model=part", GOOD)[0] == 200


def test_a_page_of_its_own_may_ask(running):
    host = f"127.0.0.1:{running.port}"
    assert running.ask("/predict?model=part", GOOD, Host=host, Origin=f"http://{host}")[0] == 200
    assert running.ask("/health", Host="localhost")[0] == running.ask("/health", Host="[::1]:80")[0] == 200


def test_the_pages_need_nothing_from_elsewhere(running):
    for path in ("/", "/docs", "/page.css", "/page.js", "/docs.js"):
        status, content, headers = running.ask(path)
        text = content.decode()
        assert status == 200 and len(text) > 400
        assert not re.findall(r"(?:src|href)=\"(?:https?:)?//|url\(|@import", text), path
        assert "innerHTML" not in text and "document.write" not in text
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    page = running.ask("/")[1].decode()
    assert 'for="file"' in page and 'aria-live="polite"' in page
    used = set(re.findall(r"byId\(\"([\w-]+)\"\)", running.ask("/page.js")[1].decode()))
    assert used and used <= set(re.findall(r"id=\"([\w-]+)\"", page))


def test_the_interface_is_described(running):
    _, found, _ = running.ask("/openapi.json")
    assert set(found["paths"]) == {"/predict", "/health", "/models", "/metrics"}
    predict = found["paths"]["/predict"]["post"]
    answer = found["components"]["schemas"]["Answer"]["properties"]
    assert set(answer) == set(running.ask("/predict?model=part", GOOD)[1])
    assert set(predict["responses"]) >= {"200", "400", "401", "404", "408", "413", "415", "422", "503"}
    assert {one["name"] for one in predict["parameters"]} == {"model", "map", "name"}
    models = running.ask("/models")[1]
    assert set(found["components"]["schemas"]["Model"]["properties"]) == set(models["part"])
    assert set(models) == {"part", "lid"}


def metrics(running) -> dict:
    lines = running.ask("/metrics")[1].decode().splitlines()
    for line in lines:
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [-+.\deInf]+', line), line
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_the_figures_follow_what_happens(running):
    before = metrics(running)
    running.ask("/predict?model=lid", BAD)
    running.ask("/predict?model=lid", b"")
    after = metrics(running)

    def more(name):
        return after[name] - before.get(name, 0)

    assert more('anomaly_photographs_total{model="lid",verdict="ANOMALOUS"}') == 1
    assert more('anomaly_answers_total{status="200"}') == more('anomaly_answers_total{status="400"}') == 1
    assert more('anomaly_pictures_total{model="lid"}') == 1
    assert more("anomaly_answer_seconds_count") == more('anomaly_answer_seconds_bucket{le="+Inf"}') == 2
    assert after['anomaly_drift{model="lid"}'] == 0 and after["anomaly_memory_bytes"] > 1e6


def test_drift_is_seen_in_the_figures_the_log_and_the_page(detector):
    with served({"part": detector}) as made:
        for seed in range(30):
            made.ask(body=encode(photograph(seed, level=tiny_model.GREY + 6), ".png"))
        found = made.ask("/models")[1]["part"]["drift"]
        assert found["state"] == "higher" and "score higher" in found["says"] and found["photographs"] == 30
        assert metrics(made)['anomaly_drift{model="part"}'] == 1
        assert len(made.told) == 1 and made.told[0].startswith("part: drift:")


def test_a_token_is_wanted_where_there_is_one(detector):
    with served({"part": detector}, token="s3cret ü") as made:
        right = {"Authorization": "Bearer s3cret ü".encode()}
        for path, body in (("/predict", GOOD), ("/models", None), ("/metrics", None)):
            for wrong in ({}, {"Authorization": "Bearer s3cret"}, {"Authorization": "s3cret ü".encode()}):
                status, found, headers = made.ask(path, body, **wrong)
                assert status == 401 and found["error"] and headers["www-authenticate"] == "Bearer"
            assert made.ask(path, body, **right)[0] == 200
        assert made.ask("/health")[0] == made.ask("/")[0] == 200
        assert made.room.counts.answers == {(401,): 3, (200,): 1}


def test_more_than_is_allowed_at_once_is_told_to_come_again(detector):
    gate = threading.Event()

    def run(images):
        gate.wait(10)
        return detector.run(images)

    limits = Limits(waiting=3, seconds=10)
    with served({"part": replace(detector, run=run)}, limits=limits) as made, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(made.ask, "/predict", GOOD) for _ in range(8)]
        while sum(each.done() for each in asked) < 5:
            time.sleep(0.01)
        gate.set()
        answers = [each.result() for each in asked]
    assert sorted(status for status, *_ in answers) == [200] * 3 + [503] * 5
    assert all(headers["retry-after"] for status, _, headers in answers if status == 503)


def test_what_takes_too_long_is_ended(detector):
    gate = threading.Event()

    def run(images):
        gate.wait(10)
        return detector.run(images)

    with served({"part": replace(detector, run=run)}, limits=Limits(seconds=0.3)) as made:
        status, found, _ = made.ask(body=GOOD)
        assert status == 503 and "0.3 seconds" in found["error"]
        gate.set()


def test_slow_clients_are_let_go_and_keep_nobody_waiting(detector):
    with served({"part": detector}, limits=Limits(seconds=0.5)) as made:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
        slow = [socket.create_connection(("127.0.0.1", made.port)) for _ in range(30)]
        for number, each in enumerate(slow):
            each.sendall(head + (b"Content-Length: 900\r\n\r\n" if number % 2 else b""))
        assert made.ask(body=GOOD)[0] in (200, 503)  # 15 of them are requests that have begun
        time.sleep(1.3)
        answers = []
        for each in slow:
            each.settimeout(1)
            answers.append(each.recv(1000))
            each.close()
        assert set(answers[::2]) == {b""}  # closed
        assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers[1::2])
        assert made.ask(body=GOOD)[0] == 200


def test_what_the_detector_cannot_do_is_no_fault_of_the_client(detector, caplog):
    def run(images):
        return [np.full((len(images), 64, 64), np.nan, np.float32), np.zeros(len(images), np.float32)]

    def worse(images):
        raise RuntimeError("a secret of the house")

    with served({"nan": replace(detector, run=run), "worse": replace(detector, run=worse)}) as made:
        status, found, _ = made.ask("/predict?model=nan", GOOD)
        assert status == 500 and "no finite score" in found["error"]
        status, found, _ = made.ask("/predict?model=worse", GOOD)
        assert status == 500 and "secret" not in found["error"]
        assert made.ask("/health")[0] == 200
        assert made.room.counts.answers == {(500,): 2}
        assert ["no finite score" in made.told[0], "a secret of the house" in made.told[1]] == [True, True]
        assert len(made.told) == 2 and all(each.startswith("500: ") and "\n" not in each for each in made.told)
    assert "a secret of the house" in caplog.text  # the log has it


@pytest.mark.parametrize("tiled", [False, True])
def test_heat_of_a_large_photograph_is_small_and_its_worst_place_stays(detector, tiled):
    photo = np.full((2100, 1400, 3), tiny_model.GREY, np.uint8)
    photo[1500:1540, 700:740] = 250
    view = Tiles((64, 64), overlap=0.0) if tiled else detector.transform
    judged = replace(detector, transform=view).judge(photo)
    found = cv2.imdecode(np.frombuffer(rooms.heat(judged), np.uint8), cv2.IMREAD_UNCHANGED)
    assert found.shape == (700, 466, 4)
    row, column = np.unravel_index(found[..., 3].argmax(), found.shape[:2])
    assert 490 <= row <= 525 and 225 <= column <= 255 and found[100, 100, 3] == 0


def test_a_flood_of_connections_passes(detector, monkeypatch):
    """More than are taken: those beyond are told so or let go, and afterwards it answers as before."""
    monkeypatch.setattr(serving, "CONNECTIONS", 20)
    with served({"part": detector}, limits=Limits(seconds=0.5)) as made:
        flood = []
        for _ in range(60):
            flood.append(socket.create_connection(("127.0.0.1", made.port), timeout=5))
        assert made.ask(body=GOOD)[0] == 503
        until(lambda: made.ask(body=GOOD)[0] == 200, seconds=10)
        assert {each.recv(100)[:12] for each in flood} <= {b"", b"HTTP/1.1 503"}
        for each in flood:
            each.close()
