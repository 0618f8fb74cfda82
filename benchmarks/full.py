"""Trains and evaluates every category of a data set, and sets the results beside the published ones.

python benchmarks/full.py patchcore|padim|fastflow|all --dataset_path data/mvtec [--device_ids 0,1] [-- FLAGS]

FLAGS are options of train.py (with --task onnx: of eval.py) for all methods asked for. Each device takes the next
category when it is free. Started again with the same options, it leaves out what is done, and FastFlow goes on with a
training that was interrupted; with other options a category is run again. It ends with exit code 1 if any has failed.
"""

import argparse
import os
import signal
import sys
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `main`: Ctrl-C among the imports would be a traceback

from anomaly import methods
from anomaly.data.layouts import categories
from anomaly.networks.registry import RANDOM
from anomaly.run.device import TARGETS, best
from anomaly.run.errors import DataError, UsageError, guarded
from anomaly.run.files import SOURCE, require_writable
from anomaly.run.flags import Parser
from anomaly.run.lock import locked
from benchmarks import flags, processes, tables
from benchmarks.board import Board
from benchmarks.jobs import FAILED, METHODS, ONNX, TRAIN, WAITING, Job, Settings, plan

ROOT = SOURCE
PAUSE = 0.1  # seconds between two looks at the processes


def device_ids(text: str) -> list:
    ids = text.split(",")
    if not all(each.isdecimal() for each in ids) or len(set(map(int, ids))) < len(ids):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of different numbers (0,1)")
    return [int(each) for each in ids]


def make_parser() -> Parser:
    parser = Parser(str(__doc__))
    parser.add_argument("method", choices=(*METHODS, "all"), help="all: whatever is here")
    parser.add_argument("--dataset_path", type=Path, required=True, help="folder that holds the categories")
    parser.add_argument("--pre_ckpt_path", default="", help="checkpoint of the backbone, a folder of them, or random")
    parser.add_argument("--device_target", choices=TARGETS, help="default: the best present")
    parser.add_argument("--device_ids", type=device_ids, default=[0], help="as in 0,1; default: 0")
    parser.add_argument(
        "--output_dir", type=Path, help="default: output/mvtec_<device> in the project; onnx: the newest"
    )
    parser.add_argument("--fresh", action="store_true", help="do all of it, whatever is done")
    parser.add_argument(
        "--task", choices=(TRAIN, ONNX), default=TRAIN, help="onnx: export and evaluate what is trained"
    )
    for method in METHODS:
        parser.add_argument(f"--{method}", type=flags.split, default=[], metavar="'FLAGS'", help="options for it alone")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def parse(argv: list) -> tuple:
    """The arguments, and the flags behind `--`."""
    cut = argv.index("--") if "--" in argv else len(argv)
    given, mine, common = iter(argv[:cut]), [], argv[cut + 1 :]
    for word in given:
        # argparse would take a value that looks like an option for one.
        value = next(given, None) if word[2:] in METHODS and word.startswith("--") else None
        mine.append(word if value is None else f"{word}={value}")
    return make_parser().parse_args(mine), common


def make_settings(args: argparse.Namespace, common: list) -> tuple:
    """What was asked for, and the methods it is asked of."""
    here = list(methods.names(ROOT))
    wanted = here if args.method == "all" else [args.method]
    missing = [method for method in wanted if method not in here] if here else [args.method]
    if missing:
        raise UsageError(f"{', '.join(missing)}: not in {ROOT}; there are {', '.join(here) or 'no methods'}")
    unused = [method for method in METHODS if getattr(args, method) and args.method not in (method, "all")]
    if unused:
        raise UsageError(f"--{unused[0]}: {args.method} alone was asked for")
    given = {method: flags.absolute_config([*common, *getattr(args, method)]) for method in wanted}
    weights = args.pre_ckpt_path
    if weights not in ("", RANDOM):
        weights = os.path.abspath(weights)
    config = {method: flags.require(method, given[method], args.task, weights) for method in wanted}
    categories(args.dataset_path)
    target = args.device_target or best()
    output = args.output_dir or default_output(args.task, target)
    dataset, output = Path(os.path.abspath(args.dataset_path)), Path(os.path.abspath(output))
    return Settings(ROOT, args.task, dataset, weights, target, output, given, config, args.fresh), wanted


def default_output(task: str, target: str) -> Path:
    """For what is exported, the results that are newest, whatever device they were trained on."""
    own = ROOT / "output" / f"mvtec_{target.lower()}"
    found = sorted(own.parent.glob("mvtec_*/results.json"), key=lambda path: path.stat().st_mtime)
    return found[-1].parent if task == ONNX and found else own


def close(job: Job, child: processes.Child, code: int):
    if code:
        job.fail(child.reason())
        return
    try:
        job.finish()
    except DataError as error:
        job.fail(str(error))


def work(settings: Settings, jobs: list, devices: list, board: Board):
    """One process a device, until nothing is left. All in this thread: see `dies_with_this`."""
    environment = processes.environment(settings.target, len(devices))
    waiting, running = deque(job for job in jobs if job.status == WAITING), {}
    try:
        while waiting or running:
            for device in devices:
                if waiting and device not in running:
                    job = waiting.popleft()
                    commands = job.begin(device)
                    running[device] = job, processes.Child(commands, job.log, environment, append=job.resumed)
                    board.changed(job)
            time.sleep(PAUSE)
            for device, (job, child) in list(running.items()):
                code = child.poll()
                if code is not None:
                    del running[device]
                    close(job, child, code)
                    tables.save(settings, jobs)
                    board.changed(job)
            board.refresh()
    finally:
        processes.end([child for _, child in running.values()])


def main(argv=None):
    args, common = parse(sys.argv[1:] if argv is None else list(argv))
    settings, methods = make_settings(args, common)
    require_writable(settings.output)
    with locked(settings.output), processes.ended_by_signals():
        jobs = plan(settings, methods, tables.order())
        board = Board(jobs, len(args.device_ids))
        try:
            work(settings, jobs, args.device_ids, board)
        except KeyboardInterrupt:
            print("started again with the same options, it goes on where it was", file=sys.stderr)
            raise
        print(f"\n{tables.save(settings, jobs)}\n{settings.results / 'results.md'}, .csv, .json", flush=True)
    failed = [job for job in jobs if job.status == FAILED]
    for job in failed:
        print(f"failed: {job.method} {job.category}: {job.reason} ({job.log})", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
