"""What docs/adding.md tells to write works, and its counts are those of the tree."""

import ast
import re
import shutil
from pathlib import Path

import pytest
import torch_timm

from anomaly.data import layouts
from anomaly.networks import registry, weights

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
FOURTH = ROOT / "tests" / "fourth" / "nearest_mean"


def executed(word: str) -> dict:
    [block] = [block for block in BLOCKS if word in block]
    names: dict = {"__name__": "page"}
    exec(block, names)
    return names


def test_the_record_makes_a_network(monkeypatch):
    record = executed("RESNEXT50")["RESNEXT50"]
    monkeypatch.setattr(registry, "RECORDS", (*registry.RECORDS, record))
    loaded = weights.load_backbone("resnext50_32x4d", record.layers, source="random", seed=1)
    assert loaded.net((64, 64)) is not None and registry.get("resnext50_32x4d").channels_of("layer3") == 1024
    theirs = torch_timm.timm.create_model("resnext50_32x4d").state_dict()  # by torchvision's names
    shapes = {key: tuple(value.shape) for key, value in theirs.items()}
    needed = record.module.expected(record)
    assert needed == {key: shapes[key] for key in needed}


def test_the_layout_reads_its_folders(toy, tmp_path, monkeypatch):
    shutil.copytree(toy / "gear" / "train" / "good", tmp_path / "part" / "fine")
    shutil.copytree(toy / "gear" / "test" / "rust", tmp_path / "part" / "faulty")
    monkeypatch.setitem(layouts.LAYOUTS, "two_folders", executed("TWO_FOLDERS")["TWO_FOLDERS"])
    assert layouts.categories(tmp_path) == ["part"]
    category = layouts.load_category(tmp_path, "part")
    assert (len(category.train), len(category.test)) == (5, 4)
    assert [sample.defect for sample in category.test] == ["good"] + ["faulty"] * 3


def test_the_lines_of_every_network_are_counted():
    rows = re.findall(r"^\| (`.*?`) \| (\d+)[^|]* \| `(\w+)\.py` \| (\d*)", TEXT, re.MULTILINE)
    told = {name: (int(lines), family) for row, lines, family, _ in rows for name in re.findall(r"`(\w+)`", row)}
    calls = {}
    for node in ast.walk(ast.parse((ROOT / "anomaly" / "networks" / "registry.py").read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            calls[node.args[0].value] = node.end_lineno - node.lineno + 1
    assert told == {record.name: (calls[record.name], record.family) for record in registry.RECORDS}
    for _, _, family, lines in rows:
        assert not lines or len((ROOT / "anomaly" / "networks" / f"{family}.py").read_text().splitlines()) == int(lines)


@pytest.mark.parametrize(("name", "lines"), re.findall(r"^\| `([\w/]+\.py)` \| (\d+) \|", TEXT, re.MULTILINE))
def test_the_lines_of_the_example_are_counted(name, lines):
    assert len((FOURTH / name).read_text().splitlines()) == int(lines)


def test_the_shims_are_those_of_the_other_methods():
    for path in FOURTH.glob("*.py"):
        if path.name != "__init__.py":
            shim = path.read_text().replace("nearest_mean", "padim").replace("nearest mean", "PaDiM")
            assert shim == (ROOT / "padim" / path.name).read_text()
            assert len(shim.splitlines()) == 15
