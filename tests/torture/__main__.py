"""Breaks the program on purpose, in every way that is known, and says what did not go as it must.

Each case is a command with something wrong, and what has to come of it: it works, with this figure, or one line names
the cause, with an exit code. A traceback, a hang, a byte outside the folder of results or a verdict from damaged input
is a failure.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import families
import kills
import runner
import skips
import soak
import world as worlds


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose names begin so")
    parser.add_argument("--short", action="store_true", help="a selection that takes less than a minute")
    parser.add_argument("--jobs", type=int, default=2, help="cases at once (default: %(default)s)")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="watch and serve for so long instead")
    parser.add_argument("--kills", type=int, metavar="N", help="N times kill -9 of every command instead")
    parser.add_argument("--program", type=Path, help="anomaly_infer; left out: it is built where there is a compiler")
    parser.add_argument("--list", action="store_true", help="say the names of the cases and end")
    return parser.parse_args()


def main() -> int:
    args = parsed()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="torture."))
    os.environ.update(XDG_CACHE_HOME=str(folder / "cache"), **runner.ENVIRONMENT)
    try:
        return run(args, folder, began=began)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(args: argparse.Namespace, folder: Path, *, began: float) -> int:
    if args.soak:
        return soaked(folder, 60 * args.soak)
    chosen = families.chosen(args.only, short=args.short)
    if args.list:
        print("\n".join(case.name for case in chosen))
        return 0
    runner.load_everything()
    world = worlds.build(folder / "world")
    if args.kills:
        return int(kills.run(world, folder=folder, number=args.kills, only=args.only, say=say))
    if args.program:
        world.take(args.program)
    chosen = with_program(chosen, world)
    prepare(world, {need for case in chosen for need in case.needs}, folder=folder)
    print(f"{len(chosen)} cases; prepared in {time.monotonic() - began:.0f} s", flush=True)
    failed = runner.run(chosen, world, folder=folder, jobs=args.jobs, say=say)
    counts, bad = Counter(case.family for case in chosen), Counter(name.split("/")[0] for name in failed)
    for family, count in counts.items():
        print(f"{family:12}{count:6} cases, {bad[family]} failed")
    print(f"{len(chosen)} cases, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def say(line: str) -> None:
    print(line, flush=True)


def with_program(chosen: list, world: worlds.World) -> list:
    """Without the cases of the C++ program where it cannot be built."""
    missing = "" if world.has(worlds.PROGRAM) else skips.cpp_is_missing()
    kept = [case for case in chosen if not missing or worlds.PROGRAM not in case.needs]
    if len(kept) < len(chosen):
        say(f"left out: {len(chosen) - len(kept)} cases of the C++ program, for which {missing}")
    return kept


def soaked(folder: Path, seconds: float) -> int:
    worlds.build(folder / "world")
    found = soak.run(folder / "world", folder=folder / "soak", seconds=seconds)
    said = soak.wrong(found)
    print("\n".join([json.dumps(found, indent=2), *said]))
    return 1 if said else 0


def prepare(world: worlds.World, needs: set, *, folder: Path) -> None:
    """What the cases need, each made in a copy of this process, and what it judges while it is whole."""
    for need in sorted(need.partition(":")[0] for need in needs):
        if not world.has(need):
            code = runner.ended(runner.in_a_copy(lambda need=need: world.make(need)), 900)
            assert code == 0, f"{need} could not be made"
        if need in families.WHOLE:
            world.verdicts[need] = runner.learnt(need, families.WHOLE[need], world, folder=folder)


if __name__ == "__main__":
    sys.exit(main())
