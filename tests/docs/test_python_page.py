"""docs/python.md is a program that runs, and prints what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "python.md"


def program() -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


def test_the_page_runs_as_it_stands_and_prints_what_it_says(tmp_path):
    expected = re.findall(r"# -> (.*)", program())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected
    assert len(expected) == program().count("print(")


def test_every_verb_has_its_place_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    for verb in ("patchcore.fit(", "padim.fit(", "fastflow.fit(", ".judge(", ".save(", "anomaly.load(", "evaluate("):
        assert verb in text
    assert "start=" in text and "progress=" in text and "with_rate(" in text
