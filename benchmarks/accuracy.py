"""What options that cost little do to the figures: one table of settings, over the categories of a folder.

python -m benchmarks.accuracy --dataset_path data/toy --weights resnet18=resnet18.pth --output accuracy.md
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anomaly
from anomaly.data import layouts
from anomaly.networks import fetch, registry
from anomaly.run.errors import guarded
from anomaly.run.files import write_text
from anomaly.show.tables import number

COLUMNS = ("image AUROC", "pixel AUROC", "AUPRO", "false alarms", "missed", "fit, s", "a photograph, ms", "state, MB")
PATCHCORE = {
    "": {},
    "`--score max`": {"score": "max"},
    "`--score top1`": {"score": "top1"},
    "`--dimensions` half": {"dimensions": 0.5},
    "`--dimensions` half `--whiten`": {"dimensions": 0.5, "whiten": True},
    "`--coreset_ratio 0.1`": {"coreset_ratio": 0.1},
    "`--coreset_ratio 0.1`, half": {"coreset_ratio": 0.1, "dimensions": 0.5},
}
PADIM = {"": {}, "`--embedding semi_orthogonal`": {"embedding": "semi_orthogonal"}}
WIDTHS = {"resnet18": 384, "efficientnet_lite0": 152}


def settings(networks: list) -> Iterator[tuple]:
    """Method, words for it, options."""
    for network in networks:
        for words, chosen in PATCHCORE.items():
            half = {"dimensions": WIDTHS[network] // 2} if "dimensions" in chosen else {}
            yield "patchcore", f"{network} {words}".strip(), {"backbone": network, **chosen, **half}
    several = [*networks, f"{networks[0]}@192"] if len(networks) == 1 else networks
    yield "patchcore", f"{','.join(several)}", {"backbone": ",".join(several)}
    yield "patchcore", f"{networks[0]},{networks[0]}@192", {"backbone": f"{networks[0]},{networks[0]}@192"}
    for network in networks:
        for words, chosen in PADIM.items():
            yield "padim", f"{network} {words}".strip(), {"backbone": network, "embedding_dim": 100, **chosen}


def weights(networks: str, known: dict) -> str:
    found = []
    for name in networks.split(","):
        base = name.partition("@")[0]
        found.append(known.get(base) or fetch.checkpoint("", next(iter(registry.get(base).weights))))
    return ",".join(found)


def measure(method: str, chosen: dict, *, category: Path) -> tuple:
    """The second fit is timed: the first makes graphs, which are kept."""
    module = importlib.import_module(method)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        detector = module.fit(layouts.to_train_on(category), **chosen)
        seconds.append(time.perf_counter() - start)
    start, tests = time.perf_counter(), layouts.to_test_on(category)
    found = anomaly.evaluate(detector, tests)
    spent = (time.perf_counter() - start) / len(tests)
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "state")
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    figures = [number(each) for each in (found.img_auc, found.pixel_auc, found.aupro)]
    v = found.verdicts
    alarms = [f"{v.false_alarms} of {v.good}", f"{v.missed} of {v.anomalous}"]
    return *figures, *alarms, f"{seconds[-1]:.1f}", f"{1000 * spent:.0f}", f"{size / 1e6:.1f}"


def main(argv=None):
    parser = argparse.ArgumentParser(description="Figures of settings that cost little, as a table.")
    parser.add_argument("--dataset_path", type=Path, required=True, help="folder that holds the categories")
    parser.add_argument("--category", nargs="+", default=["all"])
    parser.add_argument("--weights", nargs="*", default=[], help="NETWORK=FILE; without any, EfficientNet-Lite0 alone")
    parser.add_argument("--resize", type=int, default=256)
    parser.add_argument("--output", type=Path, help="Markdown file; default: the screen")
    args = parser.parse_args(argv)
    known = dict(each.split("=", 1) for each in args.weights)
    networks = ["efficientnet_lite0", *(name for name in known if name != "efficientnet_lite0")]
    lines = []
    for category in layouts.choose(args.dataset_path, tuple(args.category)):
        lines += [
            f"### {category}\n",
            f"| method | setting | {' | '.join(COLUMNS)} |",
            "|---" * (2 + len(COLUMNS)) + "|",
        ]
        for method, words, chosen in settings(networks):
            files = weights(chosen["backbone"], known)
            options = {**chosen, "pre_ckpt_path": files, "resize": args.resize, "crop": None, "device_target": "CPU"}
            found = measure(method, options, category=args.dataset_path / category)
            lines.append(f"| {method} | {words} | {' | '.join(found)} |")
            print(lines[-1], file=sys.stderr, flush=True)
        lines.append("")
    text = "\n".join(lines)
    if args.output:
        write_text(args.output, text)
    else:
        print(text)


if __name__ == "__main__":
    sys.exit(guarded(main))
