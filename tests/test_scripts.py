"""The shell scripts say how they are used."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("*.sh") if path.name != "lib.sh")


def run(name: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = ["bash", str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=20)


def test_there_are_scripts():
    assert {"quickstart.sh", "run_tests.sh"} <= set(SCRIPTS)


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_the_usage_and_does_nothing_else(tmp_path, name, flag):
    done = run(name, flag, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    assert name in done.stdout.splitlines()[0]
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("now",), ("--fast", "please")])
def test_quickstart_refuses_arguments_and_shows_the_usage(arguments):
    done = run("quickstart.sh", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Usage: " in done.stderr
