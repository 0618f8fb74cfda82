"""The libraries for NVIDIA GPUs that come as packages: which they are, and that MindSpore finds them."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shell import ROOT
from skips import cpp_is_missing

from anomaly.run import cuda

MINDSPORE = Path(importlib.util.find_spec("mindspore").submodule_search_locations[0])
PLUGIN = MINDSPORE / "lib" / "plugin" / "libmindspore_gpu.so.11.6"
FOLDERS = {"nvidia-cuda-runtime-cu11": "cuda_runtime", "nvidia-cuda-nvrtc-cu11": "cuda_nvrtc"}


def required() -> dict:
    lines = (ROOT / "requirements-gpu.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder of packages like that of a user, but with empty libraries of these names: the real ones have 3 GB."""
    reason = cpp_is_missing()
    if reason:
        pytest.skip(reason)
    site = tmp_path_factory.mktemp("site")
    (site / "empty.c").write_text("")
    for name, package in cuda.LIBRARIES.items():
        folder = site / "nvidia" / FOLDERS.get(package, package.split("-")[1]) / "lib"
        folder.mkdir(parents=True, exist_ok=True)
        command = ["g++", "-shared", "-nostdlib", f"-Wl,-soname,{name}", "-o", folder / name, site / "empty.c"]
        subprocess.run(command, check=True)
    return site


def missing(folders) -> set:
    """The libraries that the loader does not find for MindSpore's part for GPUs."""
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))}
    said = subprocess.run(["ldd", PLUGIN], env=environment, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(\S+) => not found", said))


def test_each_library_is_of_a_package_that_is_required_and_the_other_way_round():
    assert set(cuda.LIBRARIES.values()) == set(required())


def test_with_them_nothing_is_missing_but_what_the_driver_brings(site):
    assert {"libcudart.so.11.0", "libcudnn.so.8"} <= missing([])
    assert missing(sorted((site / "nvidia").glob("*/lib"))) == {"libcuda.so.1"}


def test_they_are_loaded_from_the_packages_before_mindspore(site):
    code = (
        "import sys; from anomaly.run import cuda; names = cuda.preload(); assert 'mindspore' not in sys.modules;"
        "import os; print(names); print(open('/proc/self/maps').read()); print(os.environ['LD_LIBRARY_PATH'])"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{site}", "LD_LIBRARY_PATH": "/mine"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    first, *_, last = done.stdout.splitlines()
    assert first == str(list(cuda.LIBRARIES))
    assert all(f"/{name}\n" in done.stdout and str(site) in done.stdout for name in cuda.LIBRARIES)
    folders = last.split(":")
    assert folders[-1] == "/mine" and missing(folders[:-1]) == {"libcuda.so.1"}


def test_without_packages_nothing_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setenv("LD_LIBRARY_PATH", "/mine")
    assert cuda.preload() == [] and os.environ["LD_LIBRARY_PATH"] == "/mine"


def test_a_library_that_cannot_be_loaded_is_left_out(monkeypatch, tmp_path):
    folder = tmp_path / "nvidia" / "cudnn" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudnn.so.8").write_text("cut off")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    assert cuda.preload() == []
