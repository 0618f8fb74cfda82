"""`anomaly watch` while photographs arrive and it is killed again and again: every one has a line, and none two.

python -m benchmarks.killed --model bottle.onnx --photographs photos/bottle/test --number 500 --kills 5
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from anomaly.data.samples import find_images
from anomaly.run.errors import guarded

ROOT = Path(__file__).resolve().parents[1]


def started(folder: Path, results: Path, *, model: Path, more: tuple = ()) -> subprocess.Popen:
    words = ("watch", folder, "--model", model, "--results", results, "--interval", "0.2", *more)
    command = [sys.executable, "-m", "anomaly", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def deliver(contents: list, folder: Path, *, number: int, seconds: float) -> None:
    """So many files in this time, in every way in which files come: at once, in pieces, and renamed into place."""
    rng = random.Random(0)
    for count in range(number):
        content = contents[count % len(contents)] + count.to_bytes(4, "little")  # no two alike
        path = folder / f"{count % 3}" / f"{count:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if count % 3 == 0:
            path.write_bytes(content)
        elif count % 3 == 1:
            half = len(content) // 2
            with open(path, "wb") as file:
                file.write(content[:half])
                file.flush()
                time.sleep(0.002)
                file.write(content[half:])
        else:
            temporary = path.with_suffix(".part")
            temporary.write_bytes(content)
            temporary.rename(path)
        time.sleep(rng.uniform(0, 2 * seconds / number))


def lines_of(results: Path) -> list:
    """The paths of all whole lines."""
    if not results.is_file():
        return []
    return [json.loads(line)["path"] for line in results.read_bytes().split(b"\n")[:-1] if line.strip()]


def tried(model: Path, contents: list, *, number: int, kills: int, seconds: float, folder: Path) -> dict:
    """`seconds`: in which the photographs arrive."""
    place, results, moved = folder / "in", folder / "results.jsonl", folder / "anomalous"
    place.mkdir(parents=True)
    more, rng, began = ("--move_anomalous", moved), random.Random(1), time.monotonic()
    arriving = threading.Thread(target=deliver, args=(contents, place), kwargs={"number": number, "seconds": seconds})
    arriving.start()
    killed = []
    for count in range(kills):
        process, wanted = started(place, results, model=model, more=more), number * (count + 1) // (kills + 1)
        while len(lines_of(results)) < wanted and process.poll() is None:
            time.sleep(rng.uniform(0.01, 0.05))
        process.kill()
        process.communicate()
        killed.append(process.returncode)
    process = started(place, results, model=model, more=more)
    while len(set(lines_of(results))) < number and process.poll() is None and time.monotonic() - began < 600:
        time.sleep(0.2)
    time.sleep(1)
    process.terminate()
    process.communicate()
    arriving.join()
    paths = Counter(lines_of(results))
    left, aside = len(find_images(place)), len(find_images(moved)) if moved.is_dir() else 0
    return {
        "photographs": number,
        "killed": killed,
        "lines": paths.total(),
        "twice": sum(count > 1 for count in paths.values()),
        "moved": aside,
        "left": left,
        "exit code": process.returncode,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--number", type=int, default=500)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    args = parser.parse_args()
    contents = [path.read_bytes() for path in find_images(args.photographs)]
    folder = Path(tempfile.mkdtemp())
    sizes = {"number": args.number, "kills": args.kills, "seconds": args.seconds}
    try:
        found = tried(args.model.resolve(), contents, folder=folder, **sizes)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(found, indent=2))
    return 0 if found["lines"] == args.number and not found["twice"] else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
