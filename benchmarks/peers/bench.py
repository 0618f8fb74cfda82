"""Measures this project beside others: python -m benchmarks.peers.bench, by way of benchmarks/run.sh.

Started again, it goes on where it stopped: results.json says what is done.
"""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import anomaly
from anomaly.deploy.description import PACKAGES
from anomaly.run.errors import DataError, UsageError, guarded
from anomaly.run.files import SOURCE, read_json, require_writable, write_json, write_text
from anomaly.run.flags import Parser, checked
from anomaly.run.lock import locked
from anomaly.run.options import above_zero, positive
from benchmarks.peers import environments, measured, photographs, report, weights
from benchmarks.peers.plan import OURS, Chosen, Unit, choose
from benchmarks.peers.systems import PEERS, TRAIN, Ours, Peer, Work
from benchmarks.processes import ended_by_signals

PARTS = (1, 2, 4)
CHOICES = (
    "onnxruntime",
    "openvino",
    "faiss-cpu",
    "kornia-rs",
)  # what this project runs on, where it is there


def make_parser() -> Parser:
    parser = Parser(str(__doc__))
    parser.add_argument("--data", type=Path, help="folder of categories in MVTec AD's layout, PNG; left out: drawn")
    parser.add_argument("--category", help="of --data")
    parser.add_argument("--quick", action="store_true", help="small network, half the photographs, once, short limit")
    parser.add_argument("--repeats", type=checked(positive), help="default: 3; with --quick: 1")
    parser.add_argument(
        "--limit", type=checked(above_zero), help="seconds that a process may take (default: 3600; --quick: 90)"
    )
    parser.add_argument("--epochs", type=checked(positive), default=2, help="of FastFlow (default: 2)")
    parser.add_argument("--only", default="", help="peers, methods, networks, growth, as in anomalib,patchcore-1")
    parser.add_argument("--weights", type=Path, help="folder with torchvision's own files; left out: random weights")
    parser.add_argument(
        "--photographs", type=checked(positive), nargs=2, metavar=("TRAIN", "TEST"), help="to draw; default 200 80"
    )
    parser.add_argument("--output", type=Path, help="default: output/peers, or output/peers_quick, in the project")
    parser.add_argument("--peers", type=Path, help="where the peers' environments are; default: benchmarks/.peers")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def machine() -> dict:
    with open("/proc/cpuinfo") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / report.GIGABYTE
    return {
        "processor": (names or [platform.processor()])[0],
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{memory:.0f} GB",
        "system": platform.platform(),
        "OMP_NUM_THREADS": measured.environment().get("OMP_NUM_THREADS", "not set"),
    }


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def prepare(work: Work, source: Path, given: Optional[Path]) -> None:
    """The data as wholes and parts, one photograph alone, and each network's weights for all."""
    category = source / work.category
    train = sorted((category / "train" / "good").glob("*.png"))
    test = sorted((category / "test").glob("*/*.png"))
    if len(train) < max(PARTS) or not test:
        raise DataError(f"{category}: too few PNG photographs in train/good or in test")
    for part in PARTS:
        place = work.output / "data" / f"part_{part}" / work.category
        shutil.rmtree(place, ignore_errors=True)
        for photograph in (*train[: len(train) // part], *test, *category.glob("ground_truth/*/*.png")):
            share(photograph, place / photograph.relative_to(category))
    work.photograph.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(test[0], work.photograph)
    for network in weights.NETWORKS:
        make_weights(work, network, given)


def share(source: Path, target: Path) -> None:
    """The same file at another place; no symbolic link, since not every system follows those."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def make_weights(work: Work, network: str, given: Optional[Path]) -> None:
    """The .pth that the peers read, and the checkpoint that is made of it here once, as users do."""
    source, checkpoint = work.weights(network), work.weights(network, ".ckpt")
    if checkpoint.is_file():
        return
    source.parent.mkdir(parents=True, exist_ok=True)
    if given:
        shutil.copyfile(given / source.name, source)
    else:
        call("-m", "benchmarks.peers.weights", network, source)
    call(work.root / "pretrained" / "pthtockpt.py", "--pth_path", source, "--ckpt_path", checkpoint)


def call(*words: Any) -> None:
    """A program of this project, with this Python; it needs more memory than this process is to have."""
    done = subprocess.run([sys.executable, *map(str, words)], cwd=SOURCE, capture_output=True, text=True)
    if done.returncode:
        raise DataError(f"{words[-1]}: {(done.stderr.strip().splitlines() or ['no reason was given'])[-1]}")


class Book:
    """results.json, written whenever something is known."""

    def __init__(self, path: Path, settings: dict) -> None:
        self.path = path
        self.found: dict[str, Any] = read_json(path) if path.is_file() else {"settings": settings, "runs": {}}
        if self.found["settings"] != settings:
            raise UsageError(
                f"{path}: holds figures of other settings ({self.found['settings']}); choose another --output"
            )
        self.found.update(about={}, unavailable={})

    def save(self) -> None:
        write_json(self.path, self.found)

    def steps(self, unit: Unit) -> dict:
        return self.found["runs"].setdefault(unit.key, {})

    def hopeless(self, unit: Unit) -> bool:
        """Whether it failed or took too long at an earlier turn of this run."""
        earlier = [self.steps(Unit(unit.system, unit.case, number)) for number in range(unit.repeat)]
        return any("seconds" not in step for steps in earlier for step in steps.values())


def perform(unit: Unit, system: Any, book: Book, *, output: Path, limit: float) -> None:
    """All steps of a unit, each a process; those that an earlier run has done stay done while their files are there."""
    folder, steps = output / "work" / unit.key, book.steps(unit)
    wanted = (TRAIN,) if unit.alone else system.steps
    too_long = any(step.get("limit", 0) >= limit for step in steps.values())
    if too_long or all("seconds" in steps.get(step, {}) for step in wanted):
        return
    if not folder.is_dir():
        steps.clear()
    folder.mkdir(parents=True, exist_ok=True)
    for step in wanted:
        if "seconds" in steps.get(step, {}):
            continue
        log = folder / f"{step}.log"
        command = system.command(step, unit.case, folder)
        found = measured.run(command, folder=folder, log=log, environment=system.environment, limit=limit)
        if "seconds" in found:
            try:
                found.update(system.figures(step, folder, log))
            except (DataError, OSError, LookupError, ValueError) as error:
                found = {"failed": f"what it left cannot be read: {error}"}
        steps[step] = found
        book.save()
        told = " ".join(f"{key} {value:.4g}" if isinstance(value, float) else "" for key, value in found.items())
        print(f"{unit.key} {step}: {found.get('failed') or told.strip()}", flush=True)
        if "seconds" not in found:
            return  # the folder stays, with the log
    shutil.rmtree(folder)


def available(work: Work, chosen: Chosen, book: Book, *, folder: Path) -> dict[str, Any]:
    """The systems by name; what cannot be had is noted and left out."""
    own = {word: found for word in (*PACKAGES, *CHOICES) if (found := version(word))}
    book.found["about"] = {"machine": machine(), OURS: {"version": anomaly.__version__, **own}}
    systems: dict[str, Any] = {OURS: Ours(work)}
    for name in chosen.systems[1:]:
        try:
            python = environments.ensure(name, folder)
        except (DataError, OSError) as error:
            book.found["unavailable"][name] = str(error)
            print(f"{name}: {error}", file=sys.stderr)
            continue
        systems[name] = Peer(work, name, *PEERS[name], python)
        book.found["about"][name] = environments.versions(name, python)
    return systems


def measure(units: Sequence[Unit], systems: dict, book: Book, *, output: Path, limit: float) -> None:
    for number, unit in enumerate(units, start=1):
        if not book.hopeless(unit):
            print(f"[{number} of {len(units)}] {unit.key}", flush=True)
            perform(unit, systems[unit.system], book, output=output, limit=limit)


def main(argv: Optional[Sequence[str]] = None) -> int:
    args = make_parser().parse_args(argv)
    if bool(args.data) != bool(args.category):
        raise UsageError("--data and --category belong together")
    args.category = args.category or photographs.CATEGORY
    output = Path(os.path.abspath(args.output or SOURCE / "output" / ("peers_quick" if args.quick else "peers")))
    only = [word for word in args.only.split(",") if word]
    names = (OURS, *PEERS)
    chosen = choose(names, quick=args.quick, only=only, repeats=args.repeats or (1 if args.quick else 3))
    train, test = args.photographs or ((100, 40) if args.quick else (200, 80))
    drawn = {"drawn": [train, test]}
    settings = {"data": str(args.data.resolve()) if args.data else drawn, "category": args.category}
    settings |= {"epochs": args.epochs, "weights": str(args.weights.resolve()) if args.weights else "random"}
    require_writable(output)
    with locked(output), ended_by_signals():
        book = Book(output / "results.json", json.loads(json.dumps(settings)))
        threads = len(os.sched_getaffinity(0))
        work = Work(SOURCE, output, args.category, output / "photograph" / "one.png", threads, args.epochs)
        if not args.data:
            photographs.draw(output / "photographs", train=train, test=test)
        prepare(work, args.data or output / "photographs", args.weights)
        systems = available(work, chosen, book, folder=args.peers or SOURCE / "benchmarks" / ".peers")
        book.found["about"] |= {"settings": settings, "repeats": chosen.repeats}
        units = [
            unit
            for unit in chosen.units({name: PEERS[name][0] if name in PEERS else Ours.methods for name in names})
            if unit.system in systems
        ]
        try:
            measure(units, systems, book, output=output, limit=args.limit or (90.0 if args.quick else 3600.0))
        finally:
            text = report.markdown(book.found, names[1:])
            book.save()
            write_text(output / "results.md", text)
    print(f"\n{text}\n{output / 'results.md'}, .json")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
