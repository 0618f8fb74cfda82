"""The examples for systemd and Docker: what a linter would say, and that the packages of the image suffice."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model

from anomaly.commands import serve, watch

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "line"
UNITS = sorted(FOLDER.glob("*.service"))
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
# What a package is imported as, where that is another word.
MODULES = {"opencv-python-headless": "cv2", "scikit-learn": "sklearn", "faiss-cpu": "faiss", "PyYAML": "yaml"}


def unit(path: Path) -> configparser.ConfigParser:
    made = configparser.ConfigParser(interpolation=None, strict=True)
    made.optionxform = str
    made.read(path)
    return made


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_one_and_starts_a_command_that_there_is(path):
    found = unit(path)
    assert set(found.sections()) == {"Unit", "Service", "Install"}
    service = found["Service"]
    words = shlex.split(service["ExecStart"])
    assert words[0].startswith("/") and words[1:3] == ["-m", "anomaly"]
    command = {"watch": watch, "serve": serve}[words[3]]
    command.parser().parse_args(words[4:])
    assert service["Restart"] == "on-failure" and service["NoNewPrivileges"] == "yes" and service["MemoryMax"]
    assert ("SuccessExitStatus" in service) is (words[3] == "watch")
    assert service.get("User", "") != "root" and ("User" in service or service["DynamicUser"] == "yes")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_finds_nothing_wrong(path, tmp_path):
    """Where there is systemd. It wants the program to be there, so here another one stands in its place."""
    checker = shutil.which("systemd-analyze")
    if checker:
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace("/opt/anomaly/.venv/bin/python", sys.executable))
        done = subprocess.run([checker, "verify", "--man=no", str(copy)], capture_output=True, text=True)
        assert not [line for line in (done.stdout + done.stderr).splitlines() if path.name in line]


def test_hadolint_finds_nothing_wrong():
    checker = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([checker, "--no-color", FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def instructions() -> list:
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def test_the_image_is_made_with_care():
    made = instructions()
    words = dict(made)
    assert re.fullmatch(r"\w+:[\w.]+-[\w.-]+", words["FROM"]) and "latest" not in words["FROM"]
    names = [name for name, _ in made]
    assert names.index("RUN") < names.index("USER") < names.index("ENTRYPOINT")
    assert words["USER"] not in ("root", "0") and "/health" in words["HEALTHCHECK"]
    assert "--no-cache-dir" in words["RUN"] and "ADD" not in names and "sudo" not in words["RUN"]
    assert "TOKEN" not in words["ENV"]  # it would stay in the image
    for name, text in made:
        if name == "COPY":
            assert all((ROOT / path).exists() for path in text.split()[:-1])
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*" and {f"!{path}" for _, text in made if _ == "COPY" for path in text.split()[:-1]} <= {
        *ignored
    }
    serve.parser().parse_args(eval(words["ENTRYPOINT"])[4:] + eval(words["CMD"]))


RUN = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None  # as where it is not installed
from anomaly.line import serving
serving.serve = lambda *_, **__: print("would serve")
from anomaly.__main__ import main
sys.exit(main(["serve", "--port", "0", "--model", sys.argv[2]]))
"""


def test_the_packages_of_the_image_suffice(tmp_path):
    model = tiny_model.write(tmp_path / "part.onnx")
    chosen = re.search(r"grep -E '\^\(([^)]+)\)==' requirements\.txt", DOCKERFILE)[1].split("|")
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(chosen) < set(pinned)
    left_out = [MODULES.get(name, name.replace("-", "_")) for name in pinned if name not in chosen] + ["torch"]
    assert {"mindspore", "onnx", "faiss"} < set(left_out)
    shutil.copytree(ROOT / "anomaly", tmp_path / "opt" / "anomaly", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-c", RUN, ",".join(left_out), str(model)]
    done = subprocess.run(words, cwd=tmp_path / "opt", env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == "would serve", done.stderr
