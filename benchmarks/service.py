"""`anomaly serve` under load: many clients at once, one request in ten malformed, and every answer checked.

python -m benchmarks.service --model bottle.onnx --photographs photos/bottle/test --clients 32 --seconds 60
"""

import argparse
import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np

import anomaly
from anomaly.data.images import read_image
from anomaly.data.samples import find_images
from anomaly.run.errors import guarded

ROOT = Path(__file__).resolve().parents[1]
CLOSE = 1e-5  # relative: pictures that go through the network together differ in the last digits from one alone


class Service:
    """A process of its own, at a port that is free."""

    def __init__(self, *options: object) -> None:
        words = ["-m", "anomaly", "serve", "--port", "0", *map(str, options)]
        self.process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said: list[str] = []
        for line in self.process.stderr:
            self.said.append(line.strip())
            if "serving at " in line:
                self.port = int(line.rsplit(":", 1)[1])
                break
        else:
            raise RuntimeError("\n".join(self.said))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said += [line.strip() for line in self.process.stderr]

    def memory(self) -> float:
        """Megabytes that the process has in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * 4096 / 1e6

    def end(self) -> int:
        """The exit code after a SIGTERM."""
        self.process.terminate()
        code = self.process.wait(60)
        self.reader.join(5)
        return code


def ask(port: int, body: bytes, *, path: str = "/predict", kept: Optional[http.client.HTTPConnection] = None) -> tuple:
    """Status and JSON."""
    connection = kept or http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", path, body, {"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    if kept is None:
        connection.close()
    return found


def malformed(content: bytes, number: int) -> tuple:
    """Something wrong, of several kinds: a path and a body."""
    kinds = (
        ("/predict", b""),
        ("/predict", content[: len(content) // 2]),
        ("/predict", b"these are words"),
        ("/predict?model=../../etc/passwd", content),
        ("/predict?map=everything", content),
    )
    return kinds[number % len(kinds)]


@dataclass
class Load:
    """What came of it."""

    port: int
    files: list  # content and what is expected of it
    seconds: float
    latencies: list = field(default_factory=list)
    wrong: Counter = field(default_factory=Counter)
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, clients: int) -> None:
        end = time.monotonic() + self.seconds
        threads = [threading.Thread(target=self._client, args=(number, end)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, number: int, end: float) -> None:
        rng = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        count = number  # so that not all send what is wrong at the same time
        while time.monotonic() < end:
            content, expected = rng.choice(self.files)
            count += 1
            try:
                self._one(connection, content, expected, count)
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                with self.lock:
                    self.wrong[f"no answer: {type(error).__name__}"] += 1

    def _one(self, connection: http.client.HTTPConnection, content: bytes, expected: dict, count: int) -> None:
        bad = count % 10 == 0
        path, body = malformed(content, count // 10) if bad else ("/predict", content)
        began = time.perf_counter()
        status, found = ask(self.port, body, path=path, kept=connection)
        seconds = time.perf_counter() - began
        with self.lock:
            if bad:
                self.refused += 1
                if not (400 <= status < 500 and found.get("error")):
                    self.wrong[f"malformed, and {status}"] += 1
            else:
                self.latencies.append(seconds)
                if status != 200 or not alike(found, expected):
                    self.wrong[f"{status}, another answer"] += 1


def alike(found: dict, expected: dict) -> bool:
    boxes = [[region["box"] for region in answer["regions"]] for answer in (found, expected)]
    close = abs(found["score"] - expected["score"]) <= CLOSE * abs(expected["score"])
    return found["verdict"] == expected["verdict"] and close and len(boxes[0]) == len(boxes[1])


def expectations(detector: anomaly.Detector, paths: list) -> list:
    found = []
    for path in paths:
        judged = detector.judge(path)
        regions = [region.as_dict() for region in judged.regions]
        found.append((path.read_bytes(), {"verdict": judged.verdict, "score": judged.score, "regions": regions}))
    return found


def direct(detector: anomaly.Detector, paths: list, *, seconds: float) -> float:
    """Photographs a second of one process that reads and judges one after the other."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        judged = detector.judge(read_image(paths[count % len(paths)]))
        assert judged.regions is not None
        count += 1
    return count / (time.perf_counter() - began)


def measured(model: Path, photographs: Path, *, clients: int, seconds: float) -> dict:
    paths = find_images(photographs)
    detector = anomaly.load(model)
    files, alone = expectations(detector, paths), direct(detector, paths, seconds=min(10.0, seconds))
    service = Service("--model", model)
    Load(service.port, files, min(5.0, seconds)).run(clients)  # until its memory is what it will be
    load, memory = Load(service.port, files, seconds), [service.memory()]
    sampled = threading.Thread(target=load.run, args=(clients,))
    sampled.start()
    while sampled.is_alive():
        sampled.join(seconds / 6)
        memory.append(service.memory())
    code = service.end()
    return {
        "clients": clients,
        "answers": len(load.latencies),
        "refused": load.refused,
        "wrong": dict(load.wrong),
        "a second": round(len(load.latencies) / seconds, 1),
        "one process alone, a second": round(alone, 1),
        "p50, ms": round(1000 * float(np.quantile(load.latencies, 0.5)), 1),
        "p99, ms": round(1000 * float(np.quantile(load.latencies, 0.99)), 1),
        "memory, MB": [round(each) for each in memory],
        "exit code": code,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    found = measured(args.model.resolve(), args.photographs.resolve(), clients=args.clients, seconds=args.seconds)
    print(json.dumps(found, indent=2))
    return 1 if found["wrong"] or found["exit code"] else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
