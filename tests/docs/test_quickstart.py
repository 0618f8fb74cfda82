"""The figures of the quick start that the README shows are those that it ends with."""

import json
import re
from pathlib import Path

import pytest
from commands import run

from anomaly.commands import command
from anomaly.data import toydata

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^  \| (fabric|gear) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)


def shown(name: str) -> dict:
    return {category: figures for category, *figures in ROW.findall((ROOT / name).read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """What scripts/quickstart.sh does after its installation, by the options that stand in it."""
    folder = tmp_path_factory.mktemp("quickstart")
    assert toydata.main([str(folder / "toy")]) in (0, None)
    script = (ROOT / "scripts" / "quickstart.sh").read_text(encoding="utf-8")
    assert "BACKBONE=efficientnet_lite0\n" in script
    [options] = re.findall(r'patchcore/train\.py "\$\{options\[@\]\}" (.*)', script)
    words = ("--dataset_path", folder / "toy", "--category", "all", "--backbone", "efficientnet_lite0")
    place = ("--output_dir", folder / "out", "--device_target", "CPU")
    return folder / "out", run(command("train", "patchcore"), *words, *place, *options.split())


def test_its_figures_are_those_of_the_readme(quickstart):
    output, result = quickstart
    assert result.code == 0, result.err
    assert shown("README.md").keys() == {"fabric", "gear"}
    assert shown("README.md") == shown("README_CN.md")
    for category, figures in shown("README.md").items():
        found = json.loads((output / category / "results.json").read_text())
        for key, figure in zip(("img_auc", "pixel_auc", "aupro"), figures):
            assert found[key] == pytest.approx(float(figure), abs=2e-4), (category, key)


def test_its_network_is_a_real_one(quickstart):
    output, result = quickstart
    assert "RANDOM" not in result.out + result.err
    assert not json.loads((output / "gear" / "state.json").read_text())["random_backbone"]
