"""Checkpoints read without MindSpore, against MindSpore's own reader."""

import subprocess
import sys
from pathlib import Path

import mindspore
import numpy as np
import pytest
from mindspore.train import serialization

from anomaly.networks import checkpoint_file
from anomaly.run.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def saved(path: Path, values: dict, **how) -> Path:
    listed = [{"name": name, "data": mindspore.Tensor(value)} for name, value in values.items()]
    mindspore.save_checkpoint(listed, str(path), **how)
    return path


@pytest.fixture
def values() -> dict:
    rng = np.random.default_rng(0)
    found = {f"layer.{kind}": rng.normal(0, 9, (3, 4, 5)).astype(kind) for kind in checkpoint_file.TYPES.values()}
    return {**found, "one": np.float32(2.5), "of one": np.ones(1, np.float32), "large": rng.normal(size=(700, 900))}


@pytest.mark.parametrize("crc", [False, True])
@pytest.mark.parametrize("kilobytes", [512 * 1024, 100])
def test_all_that_mindspore_reads_is_read(tmp_path, monkeypatch, values, crc, kilobytes):
    monkeypatch.setattr(serialization, "SLICE_SIZE", kilobytes)  # beyond that a tensor is written in parts
    path = saved(tmp_path / "a.ckpt", values, crc_check=crc)
    found, wanted = checkpoint_file.read(path), mindspore.load_checkpoint(str(path))
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.asnumpy().dtype
        assert found[name].shape == value.shape
        assert np.array_equal(found[name], value.asnumpy())


@pytest.mark.parametrize("change", ["type", "shape", "cut", "empty"])
def test_what_makes_no_sense_is_refused_in_one_line(tmp_path, values, change):
    path = saved(tmp_path / "a.ckpt", {"one": np.ones((3, 4), np.float32)})
    content = path.read_bytes()
    changed = {
        "type": content.replace(b"Float32", b"Float33"),
        "shape": content.replace(b"\x08\x03\x08\x04", b"\x08\x03\x08\x05"),
        "cut": content[:-3],
        "empty": b"",
    }[change]
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(DataError, match=r"damaged|no weights") as caught:
        checkpoint_file.read(path)
    assert "\n" not in str(caught.value)


def test_it_does_without_mindspore(resnet18_ckpt):
    program = (
        "import sys; from anomaly.networks import weights;"
        "weights.load_backbone('resnet18', ('layer2',), source=sys.argv[1], seed=0);"
        "assert not {'mindspore', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(resnet18_ckpt)], cwd=ROOT, check=True)
