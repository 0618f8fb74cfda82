"""The package: what pyproject.toml says, the command `anomaly`, and a wheel that works without the checkout."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from shell import at_once

import anomaly
from anomaly import methods
from anomaly.run.options import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("anomaly", *methods.names())
SMALL = ("--backbone", "resnet18", "--resize", "64", "--crop", "none", "--coreset_ratio", "0.2")
QUICK = (*SMALL, "--pre_ckpt_path", "random", "--device_target", "CPU")


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def required(name: str) -> list:
    """The packages that a file of requirements names itself."""
    lines = (line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def call(*words, folder: Path, path: Path = ROOT) -> subprocess.CompletedProcess:
    """`python WORDS` in a folder, with the packages that lie at `path`."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_packages_needed_are_those_of_the_requirements():
    assert project()["dependencies"] == required("requirements.txt")


def test_the_extras_are_the_other_requirements():
    extras = project()["optional-dependencies"]
    names = ("dev", "docs", "gpu", "int8", "serve", "speed")
    assert extras == {name: required(f"requirements-{name}.txt") for name in names}


def test_there_is_one_version(tmp_path):
    assert "version" not in project() and project()["dynamic"] == ["version"]
    done = call("-m", "anomaly", "--version", folder=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, anomaly.__version__)


def test_help_names_every_command_and_method_at_once(tmp_path):
    def help_is_whole():
        done = call("-m", "anomaly", "--help", folder=tmp_path)
        lines = done.stdout.splitlines()
        assert done.returncode == 0, done.stderr
        for name in (*COMMANDS, "toydata"):
            assert any(line.startswith(f"  {name} ") for line in lines), name
        assert f"methods: {', '.join(methods.names())}" in lines

    assert at_once(help_is_whole)


def test_the_help_of_a_command_calls_it_by_its_name(tmp_path):
    done = call("-m", "anomaly", "train", "patchcore", "--help", folder=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("usage: anomaly train patchcore [-h]")
    assert "--coreset_ratio" in done.stdout


@pytest.mark.parametrize(
    "words, named",
    [
        ((), COMMANDS),
        (("fly", "patchcore"), ("fly: ", *COMMANDS)),
        (("train",), methods.names()),
        (("train", "fly"), ("fly: ", *methods.names())),
        (("train", "patchcore", "--fly"), ("--fly", "--help")),
        (("train", "patchcore"), ("--dataset_path",)),
    ],
)
def test_what_is_not_there_is_one_line_that_says_what_is(words, named, tmp_path):
    done = call("-m", "anomaly", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in named), done.stderr


def test_debug_shows_where_an_error_came_from(tmp_path):
    done = call("-m", "anomaly", "train", "patchcore", "--debug", folder=tmp_path)
    assert done.returncode == 2 and "Traceback" in done.stderr


def test_the_command_draws_a_data_set_and_trains_on_it(tmp_path):
    done = call("-m", "anomaly", "toydata", "d", "--train", "4", "--test", "2", "--size", "64", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    chosen = ("--dataset_path", "d", "--category", "gear", "--output_dir", "out", *QUICK)
    done = call("-m", "anomaly", "train", "patchcore", *chosen, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "gear" / "state.json").is_file()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, because building leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "scripts", source / "scripts")  # there, and not to be packed
    for file in (*ROOT.glob("requirements*.txt"), *(ROOT / n for n in ("pyproject.toml", "README.md", "LICENSE"))):
        shutil.copy(file, source)
    words = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source)
    done = call(*words, folder=folder, path=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel) -> Path:
    """A folder into which the wheel is installed."""
    folder = wheel.parent / "site"
    words = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel)
    done = call(*words, folder=wheel.parent, path=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_wheel_holds_all_of_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    kinds = ("cc", "py", "yaml", "html", "css", "js")
    wanted = {path for package in PACKAGES for kind in kinds for path in (ROOT / package).rglob(f"*.{kind}")}
    assert names == {str(path.relative_to(ROOT)) for path in wanted}
    assert f"-{anomaly.__version__}-" in wheel.name


def test_an_installed_package_needs_nothing_of_the_checkout(site, tmp_path):
    shown = "anomaly.__file__, patchcore.__file__, *patchcore.METHOD.presets.iterdir()"
    program = f"import anomaly, patchcore; print({shown})"
    done = call("-c", program, folder=tmp_path, path=site)
    assert done.returncode == 0, done.stderr
    places = done.stdout.split()
    assert len(places) > 2 and all(Path(place).is_relative_to(site) for place in places)


def test_an_installed_package_has_the_command(site, tmp_path):
    done = call(site / "bin" / "anomaly", "--version", folder=tmp_path, path=site)
    assert (done.returncode, done.stdout.strip()) == (0, anomaly.__version__), done.stderr


def test_an_installed_package_leaves_its_output_in_the_working_folder(site, toy, tmp_path):
    chosen = ("--dataset_path", toy, "--category", "gear", *QUICK)
    done = call("-m", "anomaly", "train", "patchcore", *chosen, folder=tmp_path, path=site)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output" / "patchcore" / "gear" / "state.json").is_file()
    assert not (site / "output").exists()
