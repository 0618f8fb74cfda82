"""Files of PyTorch are read without it: the same numbers as PyTorch reads, and nothing that a hostile file wants."""

import os
import pickle
import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from anomaly.networks import torch_file
from anomaly.networks.pickled import Refused, run
from anomaly.run.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def tensors() -> dict:
    generator = torch.Generator().manual_seed(5)
    base = torch.randn(6, 10, generator=generator)
    found = {kind: (torch.rand(3, 4, generator=generator) * 100).to(getattr(torch, kind)) for kind in KINDS}
    return {
        **found,
        "a view": base[1:4, 2:7],
        "turned": base.T,
        "the same again": base,
        "a number": torch.tensor(3.5),
        "nothing": torch.zeros(0, 4),
        "a parameter": torch.nn.Parameter(base[0]),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("wrap", [dict, lambda found: {"state_dict": found, "epoch": 3, "rate": 0.1, "more": [None]}])
def test_what_is_read_is_what_pytorch_reads(tmp_path, zipped, protocol, wrap):
    path = tmp_path / "a.pth"
    torch.save(wrap(tensors()), path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    found, wanted = torch_file.read(path), torch.load(path, weights_only=False)
    wanted = wanted.get("state_dict", wanted)
    assert list(found) == list(wanted) and len(found) == len(KINDS) + 6
    for name, value in wanted.items():
        assert found[name].dtype == np.float32 and found[name].shape == tuple(value.shape), name
        assert np.array_equal(found[name], value.detach().float().numpy()), name


def test_the_state_of_a_network_is_read(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(net.state_dict(), tmp_path / "a.pth")  # an OrderedDict with attributes of its own
    found = torch_file.read(tmp_path / "a.pth")
    assert found.keys() == net.state_dict().keys()


class Does:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def storage(count: int, kind: type = torch.FloatStorage):
    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value.reference if isinstance(value, Reference) else None

    class Reference:
        reference = ("storage", kind, "0", "cpu", count)

    return Pickler, Reference()


def archive(path, value, content: bytes = bytes(40), pickler=pickle.Pickler):
    with zipfile.ZipFile(path, "w") as file:
        with file.open("archive/data.pkl", "w") as program:
            pickler(program, 2).dump(value)
        file.writestr("archive/data/0", content)
    return path


def rebuilt(reference, offset, shape, strides):
    return Does(torch._utils._rebuild_tensor_v2, reference, offset, shape, strides, False, None)


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (11,), (1,)),
        (5, (6,), (1,)),
        (0, (2, 5), (9, 1)),
        (-1, (3,), (1,)),
        (0, (3,), (-1,)),
        (0, (-3,), (1,)),
        (0, (10**12,), (0,)),
        (0, (3, 3), (1,)),
        (0, (2.0,), (1,)),
        (0, (1,) * 100, (1,) * 100),
        (2**70, (1,), (1,)),
        (0, (1,), (2**70,)),
        (0, "ab", "cd"),
        (0, 7, 7),
    ],
)
def test_a_tensor_beyond_its_numbers_is_refused(tmp_path, offset, shape, strides):
    pickler, reference = storage(10)
    good = archive(tmp_path / "good.pth", {"a": rebuilt(reference, 0, (10,), (1,))}, pickler=pickler)
    assert torch_file.read(good)["a"].shape == (10,)
    bad = archive(tmp_path / "bad.pth", {"a": rebuilt(reference, offset, shape, strides)}, pickler=pickler)
    with pytest.raises(DataError, match=r"bad\.pth: not a file of weights"):
        torch_file.read(bad)


def test_a_storage_that_is_not_there_is_refused(tmp_path):
    pickler, reference = storage(10**15)
    path = archive(tmp_path / "a.pth", {"a": rebuilt(reference, 0, (10,), (1,))}, pickler=pickler)
    with pytest.raises(DataError, match="size"):
        torch_file.read(path)


@pytest.mark.parametrize("order", [1, -1])
def test_one_storage_under_two_names_does_not_reach_beyond_it(tmp_path, order):
    """In the old format, where numbers follow the pickle."""
    path = tmp_path / "a.pth"
    with open(path, "wb") as file:
        for value in (torch_file.OLD_MAGIC, 1001, {}):
            pickle.dump(value, file, 2)
        classes = [storage(10, kind) for kind in (torch.FloatStorage, torch.DoubleStorage)[::order]]
        pickler = classes[0][0]
        references = [reference for _, reference in classes]

        class Both(pickle.Pickler):
            def persistent_id(self, value):
                return value.reference if hasattr(value, "reference") else None

        assert pickler is not None
        Both(file, 2).dump({str(i): rebuilt(each, 0, (10,), (1,)) for i, each in enumerate(references)})
        pickle.dump(["0"], file, 2)
        file.write(struct.pack("<q", 10) + bytes(80))
    with pytest.raises(DataError, match="numbers"):
        torch_file.read(path)


@pytest.mark.parametrize("function", [os.system, eval, exec, print, getattr, np.load, torch.load, dict, bytearray])
def test_no_function_is_called(tmp_path, function):
    path = archive(tmp_path / "a.pth", {"a": Does(function, "1")})
    with pytest.raises(DataError, match="which is not taken from a file"):
        torch_file.read(path)


# Programs of a pickle, by hand: what each wants is more than a file of weights needs.
HOSTILE = {
    "a global by its name": b"\x80\x02cos\nsystem\n(U\x02lstR.",
    "a global from the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93(U\x02lstR.",
    "a class with a state": b"\x80\x02ccollections\nOrderedDict\n)R}(U\x05itemscos\nsystem\nub.",
    "an instance": b"(S'ls'\nios\nsystem\n.",
    "a new object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "an extension": b"\x80\x02\x82\x01.",
    "a call of no function": b"\x80\x02K\x01)R.",
    "a call of a kind of storage": b"\x80\x02ctorch\nFloatStorage\n)R.",
    "a dict with another's key": b"\x80\x02}((K\x01K\x02tK\x03u.",
    "an empty stack": b"\x80\x02\x85.",
    "no mark": b"\x80\x02}u.",
    "two results": b"\x80\x02}}.",
    "no end": b"\x80\x02}",
    "a string beyond the end": b"\x80\x02X\xff\xff\xff\x7fab.",
    "a set": b"\x80\x04\x8f.",
    "a memo that is not there": b"\x80\x02h\x05.",
    "a text number": b"I" + b"9" * 5000 + b"\n.",
    "a long number": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    "no storage": b"\x80\x02(U\x05otherU\x01aQ.",
}


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE)
def test_hostile_programs_are_refused(tmp_path, program):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
    for content in (path.read_bytes(), program):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            torch_file.read(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02" + b"(t" * 300_000 + b".",  # a mark and a tuple, and again
        b"\x80\x02)" + b"\x85" * 1_000_000 + b"q\x00}h\x00K\x01s.",  # a key that is a tuple in a tuple in a tuple ...
        b"\x80\x02)" + b"q\x00h\x00\x86" * 100_000 + b".",  # twice as much with each step
        b"\x80\x02N" + b"r\xff\xff\xff\x7f" * 1000 + b".",  # a place far behind the last one
    ],
)
def test_programs_that_ask_for_much_do_not_get_it(tmp_path, program):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        file.writestr("archive/data.pkl", program)
    with pytest.raises(DataError):
        torch_file.read(tmp_path / "a.pth")
    assert time.monotonic() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB


def test_a_deep_name_of_a_storage_is_refused(tmp_path):
    """In a process of its own: to look it up would end this one."""
    path = tmp_path / "a.pth"
    with open(path, "wb") as file:
        for value in (torch_file.OLD_MAGIC, 1001, {}, {}):
            pickle.dump(value, file, 2)
        file.write(b"\x80\x02])" + b"\x85" * 2_000_000 + b"a." + bytes(8))
    program = f"from anomaly.networks import torch_file\ntorch_file.read({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "names of its storages" in done.stderr


def test_many_tensors_of_one_storage_are_refused(tmp_path):
    pickler, reference = storage(10)
    one = rebuilt(reference, 0, (10,), (1,))
    two = archive(tmp_path / "two.pth", {"a": one, "b": one}, pickler=pickler)
    assert len(torch_file.read(two)) == 2
    many = archive(tmp_path / "many.pth", {str(i): one for i in range(3)}, pickler=pickler)
    with pytest.raises(DataError, match="share their numbers"):
        torch_file.read(many)


@pytest.mark.parametrize("name", ["a\nOK: verified", "\x1b[31mred"])
def test_names_that_would_forge_a_line_are_refused(tmp_path, name):
    torch.save({name: torch.ones(3)}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="no text"):
        torch_file.read(tmp_path / "a.pth")


def test_a_zip_that_unfolds_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match="compressed"):
        torch_file.read(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_is_found_or_changes_a_number_only(tmp_path, zipped):
    """Any byte changed, anywhere: an error in one line, or tensors of the same names; in a zip never other numbers."""
    whole, path = tmp_path / "whole.pth", tmp_path / "a.pth"
    torch.save({"first": torch.arange(20.0), "second": torch.ones(2, 3)}, whole, _use_new_zipfile_serialization=zipped)
    content, wanted = whole.read_bytes(), torch_file.read(whole)
    rng = np.random.default_rng(0)
    for position in rng.choice(len(content), 400, replace=False):
        changed = bytearray(content)
        changed[position] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            found = torch_file.read(path)
        except DataError as error:
            assert "\n" not in str(error)
            continue
        if zipped and found.keys() == wanted.keys():
            assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_big_endian_numbers_are_refused(tmp_path):
    pickler, reference = storage(10)
    path = archive(tmp_path / "a.pth", {"a": rebuilt(reference, 0, (10,), (1,))}, pickler=pickler)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/byteorder", "big")
    with pytest.raises(DataError, match="little-endian"):
        torch_file.read(path)


def test_the_machine_leaves_what_follows_alone(tmp_path):
    (tmp_path / "a").write_bytes(pickle.dumps([1, "two"], 2) + b"rest")
    with open(tmp_path / "a", "rb") as file:
        assert run(file) == [1, "two"] and file.read() == b"rest"
    with open(tmp_path / "a", "rb") as file, pytest.raises((Refused, ValueError)):
        file.seek(3)
        run(file)
