"""A selection of what scripts/run_torture.sh does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import skips

PLACE = Path(__file__).resolve().parent
FEWEST = 70  # cases, without those that not every machine can run


def torture(*words: str, seconds: float) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PLACE), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


def test_what_is_broken_on_purpose_breaks_as_it_must(request):
    missing = skips.cpp_is_missing()
    program = () if missing else ("--program", str(request.getfixturevalue("program")))
    done = torture("--short", *program, seconds=500)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^(\d+) cases, 0 failed", done.stdout, re.M)
    assert found and int(found[1]) >= FEWEST, done.stdout


def test_a_command_that_is_killed_leaves_the_former_state_or_the_new_one():
    done = torture("--kills", "2", "--only", "export/padim", seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("export/padim: 2 kills, 2 left what was there, 0 the new; 0 went wrong")


@pytest.mark.parametrize(
    "only", ["images/", "options/", "records/", "folders/", "streams/", "limits/", "goes_on/", "cpp/"]
)
def test_there_are_cases_of_each_family(only):
    names = torture("--list", "--only", only, seconds=60).stdout.split("\n")[:-1]
    assert len(names) == len(set(names)) >= 90 and all(name.startswith(only) for name in names)
