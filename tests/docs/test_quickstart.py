"""The figures and the last lines of the quick start that the README shows are those that it ends with."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pages
import pytest
from commands import run
from shell import program

from anomaly.commands import command
from anomaly.data import toydata

pytestmark = pytest.mark.xdist_group("quickstart")  # what one test makes the others use
ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (fabric|gear) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)


def shown(name: str) -> dict:
    return {category: figures for category, *figures in ROW.findall((ROOT / name).read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """What scripts/quickstart.sh does after its installation, by the options that stand in it."""
    folder = tmp_path_factory.mktemp("quickstart")
    data, output = folder / "data" / "toy", folder / "output" / "quickstart"
    assert toydata.main([str(data)]) in (0, None)
    script = (ROOT / "scripts" / "quickstart.sh").read_text(encoding="utf-8")
    assert "BACKBONE=efficientnet_lite0\n" in script
    [options] = re.findall(r'patchcore/train\.py "\$\{options\[@\]\}" (.*)', script)
    words = ("--dataset_path", data, "--category", "all", "--backbone", "efficientnet_lite0")
    place = ("--output_dir", output, "--device_target", "CPU")
    return output, run(command("train", "patchcore"), *words, *place, *options.split())


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


def installed(project: Path) -> None:
    """As after the first call of a script: an environment, and the mark that the packages are in it."""
    program(project / ".venv" / "bin" / "python", f'PYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"\n')
    for path in (*ROOT.glob("requirements*.txt"), ROOT / "scripts" / "lib.sh", ROOT / "scripts" / "quickstart.sh"):
        (project / path.relative_to(ROOT)).parent.mkdir(exist_ok=True)
        shutil.copy(path, project / path.relative_to(ROOT))
    (project / "patchcore").symlink_to(ROOT / "patchcore")
    stamp = "cat requirements*.txt | sha256sum | cut -c1-16"
    digits = subprocess.run(["bash", "-c", stamp], cwd=project, capture_output=True, text=True, check=True).stdout
    (project / ".venv" / f".installed-requirements.txt-{digits.strip()}").touch()


def ended(project: Path) -> list:
    command = ["bash", str(project / "scripts" / "quickstart.sh")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trained before; evaluating" in done.stdout
    return done.stdout.splitlines()[-3:]


def timeless(lines: list) -> list:
    return [re.sub(r"in \d+ s", "in N s", line) for line in lines]


def test_its_last_three_lines_are_those_of_the_readme(quickstart):
    output, _ = quickstart
    project = output.parents[1]
    installed(project)
    [told] = [block.text.splitlines() for block in pages.blocks("README.md", "text") if "found in" in block.text]
    assert timeless(ended(project)) == timeless(told)
    assert (output / "report.html").is_file() and list(output.glob("*/sample"))


def test_a_gpu_gets_its_libraries_first(tmp_path):
    installed(tmp_path)
    told = tmp_path / "told"
    program(tmp_path / ".venv" / "bin" / "python", f'echo "$@" >> {told}\n[[ "$1" != - ]] || echo found\n')
    command = ["bash", str(tmp_path / "scripts" / "quickstart.sh")]
    assert subprocess.run([*command, "--device", "GPU"], capture_output=True).returncode == 0
    install, *_, train, _ = told.read_text().splitlines()
    assert install.startswith("-m pip install ") and install.endswith("requirements-gpu.txt")
    assert train.startswith("patchcore/train.py ") and "--device_target GPU" in train
    for words in (["--device", "TPU"], ["--device"], ["--other"]):
        assert subprocess.run([*command, *words], capture_output=True).returncode == 2
