"""A long run of watch and serve with damaged photographs among good ones: memory stays flat, and nothing is lost."""

import atexit
import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from world import ROOT

SECONDS_BETWEEN = 0.5
BAD = 5  # every so many photographs one is damaged
LATEST = 120  # seconds in which the last ones are to be judged, on a busy machine
SETTLED = 0.2  # of the time, after which memory is what it will be


def resident(pid: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def started(*words: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "anomaly", *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    atexit.register(ended_for_sure, process)
    return process


def spoilt(content: bytes, number: int) -> bytes:
    kinds = (b"", content[: len(content) // 2], b"words", bytes(3000), content[:-1])
    return kinds[number % len(kinds)]


def contents(folder: Path) -> list:
    return [path.read_bytes() for path in sorted(folder.rglob("*.png"))]


def watch(model: Path, photographs: list, *, folder: Path, seconds: float) -> dict:
    place, results = folder / "in", folder / "r.jsonl"
    place.mkdir(parents=True)
    process = started("watch", place, "--model", model, "--results", results, "--interval", "0.2", "--patience", "1")
    assert process.stderr is not None
    threading.Thread(target=process.stderr.read, daemon=True).start()
    end, number, memory = time.monotonic() + seconds, 0, []
    while time.monotonic() < end and process.poll() is None:
        content, bad = photographs[number % len(photographs)], number % BAD == 0
        path = place / f"{number:06}{'_bad' if bad else ''}.png"
        path.write_bytes(spoilt(content, number // BAD) if bad else content + number.to_bytes(4, "little"))
        number += 1
        memory.append(resident(process.pid))
        time.sleep(SECONDS_BETWEEN)
    while results.read_bytes().count(b"\n") < number and time.monotonic() < end + LATEST:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    wrong = [row["path"] for row in rows if ("_bad" in row["path"]) != (row["verdict"] == "UNREADABLE")]
    return {
        "photographs": number,
        "lines": len(rows),
        "twice": len(rows) - len({row["path"] for row in rows}),
        "wrong": wrong[:3],
        "memory": summary(memory),
        "code": code,
    }


def serve(model: Path, photographs: list, *, seconds: float) -> dict:
    process = started("serve", "--model", model, "--port", "0")
    assert process.stderr is not None
    port = next(int(line.rsplit(":", 1)[1]) for line in process.stderr if "serving at " in line)
    threading.Thread(target=process.stderr.read, daemon=True).start()
    end, number, memory, wrong, rng = time.monotonic() + seconds, 0, [], [], random.Random(0)
    while time.monotonic() < end and process.poll() is None:
        content, bad = rng.choice(photographs), number % BAD == 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = spoilt(content, number // BAD) if bad else content
        connection.request("POST", "/predict", body, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        if bad != (400 <= answer.status < 500) or ("verdict" in found) == bad:
            wrong.append(f"{number}: {answer.status}")
        number += 1
        memory.append(resident(process.pid))
        time.sleep(SECONDS_BETWEEN / 2)
    process.send_signal(signal.SIGTERM)
    return {"requests": number, "wrong": wrong[:3], "memory": summary(memory), "code": process.wait(60)}


def summary(memory: list) -> dict:
    """Megabytes once it has settled, at the end, and the most."""
    settled = memory[int(len(memory) * SETTLED) :] or [0.0]
    return {"settled": round(settled[0], 1), "end": round(settled[-1], 1), "most": round(max(settled), 1)}


def ended_for_sure(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.kill()


def run(world: Path, *, folder: Path, seconds: float) -> dict:
    """Both at the same time."""
    model, photographs, found = world / "tiny" / "part.onnx", contents(world / "photos" / "gear" / "test"), {}

    def watched() -> None:
        found["watch"] = watch(model, photographs, folder=folder, seconds=seconds)

    thread = threading.Thread(target=watched)
    thread.start()
    found["serve"] = serve(model, photographs, seconds=seconds)
    thread.join()
    return found


def wrong(found: dict) -> list:
    watched, served = found["watch"], found["serve"]
    said = []
    if watched["lines"] != watched["photographs"] or watched["twice"] or watched["wrong"]:
        said.append("watch lost, doubled or misjudged photographs")
    if served["wrong"]:
        said.append("serve gave a wrong answer")
    if (watched["code"], served["code"]) != (143, 0):
        said.append("one of them did not end in order")
    for name in ("watch", "serve"):
        memory = found[name]["memory"]
        if memory["end"] > memory["settled"] + max(30.0, 0.1 * memory["settled"]):
            said.append(f"{name}: its memory grew")
    return said
