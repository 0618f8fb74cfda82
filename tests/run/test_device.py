"""A device that cannot be used is one line that says what is needed."""

import subprocess
import sys
import types
from pathlib import Path

import pytest

from anomaly.run import device
from anomaly.run.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mindspore(monkeypatch):
    """One that finds a CPU alone, and whose device can be set once somebody says so."""
    made = types.ModuleType("mindspore")
    made.GRAPH_MODE = 0
    made.set_context = lambda **settings: None
    made.hal = types.SimpleNamespace(is_available=lambda target: target == "CPU", device_count=lambda target: 1)
    monkeypatch.setitem(sys.modules, "mindspore", made)
    monkeypatch.setattr(device, "_wanted", ["CPU"])
    monkeypatch.setattr(device, "_used", [])
    return made


@pytest.mark.parametrize(
    ("target", "words"), [("GPU", ("CUDA 11", "requirements-gpu.txt", "driver")), ("Ascend", ("CANN", "driver"))]
)
def test_a_device_that_is_not_there_names_what_it_needs(mindspore, target, words):
    with pytest.raises(DataError) as caught:
        device.use(target)
    said = str(caught.value)
    assert said.startswith(f"--device_target {target}: ") and said.endswith("; or --device_target CPU")
    assert all(word in said for word in (*words, "bash scripts/doctor.sh")) and "\n" not in said


def test_a_device_that_cannot_be_set_is_told_likewise(mindspore):
    def refuse(*wanted):
        raise RuntimeError("Load dynamic library libmindspore_gpu.so failed\nmore")

    mindspore.hal.is_available = lambda target: True
    mindspore.set_device = refuse
    with pytest.raises(DataError, match=r"GPU: Load dynamic library libmindspore_gpu\.so failed; it needs .*CUDA 11"):
        device.use("GPU")
        device.ready()


def test_who_has_computed_with_mindspore_before_can_go_on():
    program = (
        "import mindspore, numpy; one = mindspore.Tensor(numpy.ones((2, 2), numpy.float32)); (one @ one).asnumpy();"
        "from anomaly.run import device; device.use('CPU'); device.ready();"
        "assert mindspore.get_context('mode') == mindspore.GRAPH_MODE; (one @ one).asnumpy()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
