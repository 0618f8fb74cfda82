"""A selection of what scripts/run_torture.sh does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).resolve().parent
FEWEST = 70  # cases


def torture(*words: str, seconds: float) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PLACE), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


def test_what_is_broken_on_purpose_breaks_as_it_must():
    done = torture("--short", seconds=500)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^(\d+) cases, 0 failed", done.stdout, re.M)
    assert found and int(found[1]) >= FEWEST, done.stdout


@pytest.mark.parametrize("only", ["images/", "options/", "records/", "folders/", "streams/", "limits/"])
def test_there_are_cases_of_each_family(only):
    names = torture("--list", "--only", only, seconds=60).stdout.split("\n")[:-1]
    assert len(names) == len(set(names)) >= 90 and all(name.startswith(only) for name in names)
