"""The tables of options in the methods' READMEs hold every option, with its default, and the files that there are."""

import dataclasses
import re
from pathlib import Path

import pytest

from anomaly import methods
from anomaly.run.options import boolean, parse

ROOT = Path(__file__).resolve().parents[2]
FLAGS = {"config", "debug", "ckpt_path"}  # of the commands, not of the method


def rows(name: str) -> dict:
    """Option -> what stands in the column of its default."""
    text = (ROOT / name / "README.md").read_text(encoding="utf-8")
    table = text.split("| option | default | meaning |")[1].split("\n\n")[0]
    found = re.findall(r"^\| `--(\w+)`.*? \| (.*?) \| ", table, re.MULTILINE)
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize("name", methods.names())
def test_the_table_has_every_option_with_its_default(name):
    config = methods.get(name).config()
    specs, table = {spec.name: spec for spec in dataclasses.fields(config) if spec.metadata["commands"]}, rows(name)
    assert table.keys() - FLAGS == specs.keys()
    for option, spec in specs.items():
        told, value = re.match(r"`([^`]*)`", table[option]), getattr(config, option)
        if value in ("", ()):
            continue  # described in words
        if spec.metadata["parse"] is boolean and not told:
            assert (table[option] == "off") is (value is False), option
        else:
            assert told and parse(spec, told[1], where=option) == value, option


@pytest.mark.parametrize("name", methods.names())
def test_the_table_has_every_file(name):
    text = (ROOT / name / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`src/(\w+\.py)`", text))
    assert listed == {path.name for path in (ROOT / name / "src").glob("*.py")} - {"__init__.py"}
