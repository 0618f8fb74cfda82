"""Every engine computes the same; what was compiled once is kept, and nothing damaged is taken."""

import importlib
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch_resnet
from mindspore import Tensor
from shell import ROOT

import anomaly
from anomaly.engines import choice, kept, onnx_file, onnx_runtime
from anomaly.engines.choice import BFLOAT16, FLOAT32, INT8, MINDSPORE, ONNX_RUNTIME, OPENVINO, Runtime, choose
from anomaly.engines.frozen import Frozen, layers, photographs
from anomaly.networks.weights import load_backbone
from anomaly.run.errors import DataError, UsageError

SIZE = (64, 96)
NAMES = ("layer1", "layer2", "layer3")


@pytest.fixture(scope="module")
def small(resnet18_ckpt):
    return load_backbone("resnet18", NAMES, source=str(resnet18_ckpt), seed=1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("engine", [ONNX_RUNTIME, OPENVINO, MINDSPORE])
def test_features_are_those_of_pytorch(small, images, engine, torch_resnet18):
    found = layers(small, SIZE, runtime=Runtime(engine, FLOAT32, "CPU"))(images)
    wanted = [each.numpy() for each in torch_resnet.features(torch_resnet18, images)]
    assert len(found) == len(wanted) == 3
    for mine, other in zip(found, wanted):
        assert mine.shape == other.shape and mine.dtype == np.float32
        assert np.abs(mine - other).max() <= 1e-4 * np.abs(other).max()


@pytest.mark.skipif(not choice.has_bfloat16(), reason="this processor has no bfloat16")
def test_bfloat16_is_close_and_is_not_float32(small, images):
    single, half = (layers(small, SIZE, runtime=Runtime(OPENVINO, p, "CPU"))(images) for p in (FLOAT32, BFLOAT16))
    for mine, other in zip(half, single):
        apart = np.linalg.norm(mine - other) / np.linalg.norm(other)
        assert 1e-4 < apart < 0.05
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"  # as MindSpore needs it


@pytest.mark.parametrize("method", ["patchcore", "padim", "fastflow"])
def test_all_engines_judge_alike(method, toy, resnet18_ckpt, tmp_path):
    chosen = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": str(resnet18_ckpt)}
    chosen |= {"num_epochs": 1, "flow_step": 1, "hidden_ratio": 0.25} if method == "fastflow" else {}
    fitted = importlib.import_module(method).fit(toy / "gear" / "train" / "good", engine=ONNX_RUNTIME, **chosen)
    photographs = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    maps, scores = fitted.score(photographs)
    fitted.save(tmp_path / "state")
    for engine in (OPENVINO, MINDSPORE):
        other = anomaly.load(tmp_path / "state", engine=engine)
        assert choice.TITLES[engine] in other.runs_on
        found_maps, found_scores = other.score(photographs)
        np.testing.assert_allclose(found_maps, maps, rtol=1e-3, atol=1e-4 * np.abs(maps).max())
        np.testing.assert_allclose(found_scores, scores, rtol=1e-3)


def test_the_processor_takes_what_is_installed(monkeypatch):
    assert choose("auto", FLOAT32, target="CPU").engine == ONNX_RUNTIME
    monkeypatch.setattr(choice, "is_installed", lambda package: package == MINDSPORE)
    choose.cache_clear()
    assert choose("auto", FLOAT32, target="CPU").engine == MINDSPORE
    with pytest.raises(DataError, match=r"requirements-speed\.txt \(or openvino\)"):
        choose(OPENVINO, FLOAT32, target="CPU")
    with pytest.raises(DataError, match=r"requirements-speed\.txt \(or openvino\)"):
        choose("auto", BFLOAT16, target="CPU")
    choose.cache_clear()


@pytest.mark.parametrize("target", ["Ascend", "GPU"])
def test_a_device_keeps_to_mindspore(target):
    assert choose("auto", FLOAT32, target=target).engine == MINDSPORE
    for engine, precision in ((ONNX_RUNTIME, FLOAT32), ("auto", BFLOAT16), ("auto", INT8)):
        with pytest.raises(UsageError, match="for the CPU"):
            choose(engine, precision, target=target)


@pytest.mark.parametrize("flags, wanted", [("fpu avx2", False), ("avx512_bf16 fpu", True), ("amx_bf16", True)])
def test_the_processor_says_whether_it_has_bfloat16(tmp_path, flags, wanted):
    (tmp_path / "cpuinfo").write_text(f"model name\t: x\nflags\t\t: {flags}\n")
    assert choice.has_bfloat16(tmp_path / "cpuinfo") == wanted
    assert not choice.has_bfloat16(tmp_path / "nothing")


def test_a_processor_without_bfloat16_computes_in_float32_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(choice, "has_bfloat16", lambda: False)
    choose.cache_clear()
    with caplog.at_level("INFO", logger="anomaly"):
        assert choose("auto", BFLOAT16, target="CPU") == Runtime(OPENVINO, FLOAT32, "CPU")
    assert "no bfloat16" in caplog.text
    choose.cache_clear()


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "anomaly"


def test_a_graph_is_compiled_once_and_kept(small, images, places, monkeypatch):
    runtime = Runtime(ONNX_RUNTIME, FLOAT32, "CPU")
    first = Frozen(partial(small.net, SIZE), photographs(SIZE), outputs=NAMES, runtime=runtime)(images)
    [file] = places.iterdir()
    monkeypatch.setattr(onnx_file, "content", lambda *_, **__: pytest.fail("compiled again"))
    again = Frozen(partial(small.net, SIZE), photographs(SIZE), outputs=NAMES, runtime=runtime)(images)
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one, other)
    assert list(places.iterdir()) == [file]


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: c[:-9] + bytes([c[-9] ^ 1]) + c[-8:]])
def test_a_damaged_graph_is_made_anew(small, images, places, damage):
    runtime = Runtime(ONNX_RUNTIME, FLOAT32, "CPU")
    first = Frozen(partial(small.net, SIZE), photographs(SIZE), outputs=NAMES, runtime=runtime)(images)
    [file] = places.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    again = Frozen(partial(small.net, SIZE), photographs(SIZE), outputs=NAMES, runtime=runtime)(images)
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one, other)


def test_another_network_has_another_graph(resnet18_ckpt):
    def key(source, size, names, **more) -> str:
        backbone = load_backbone("resnet18", names, source=source, seed=1)
        return kept.key(photographs(size), names, make=backbone.net, numbers=(*backbone.identity, *more.values()))

    sources = (str(resnet18_ckpt), "random")
    keys = {key(source, size, NAMES) for source in sources for size in (SIZE, (64, 64))}
    keys |= {key("random", SIZE, NAMES[:2]), key("random", SIZE, NAMES, dimensions=3)}
    assert len(keys) == 6
    assert key("random", SIZE, NAMES) in keys


def test_what_has_no_name_for_its_numbers_is_told_by_them(resnet18_ckpt):
    nets = [load_backbone("resnet18", NAMES, source=s, seed=1).net(SIZE) for s in (str(resnet18_ckpt), "random")]
    assert onnx_file.digest(nets[0]) == onnx_file.digest(nets[0]) != onnx_file.digest(nets[1])


def test_with_a_graph_that_was_kept_mindspore_is_not_loaded(toy, tmp_path, places):
    """Training, evaluation and prediction; the first training makes the graph, with MindSpore."""
    base = ["--dataset_path", str(toy), "--category", "gear", "--output_dir", str(tmp_path), "--device_target", "CPU"]
    train = [*base, "--backbone", "efficientnet_lite0", "--resize", "64", "--crop", "none"]
    image = str(next((toy / "gear" / "test" / "rust").iterdir()))
    predict = ["--category", "gear", "--output_dir", str(tmp_path), "--image_path", image, "--device_target", "CPU"]
    for method, more in (("padim", ["--embedding_dim", "20"]),):
        program = (
            "import sys\n"
            "from anomaly.__main__ import main\n"
            f"assert main(['train', '{method}', *{[*train, *more]}]) == 0\n"
            "loaded = 'mindspore' in sys.modules\n"
            f"assert main(['eval', '{method}', *{base}]) == main(['predict', '{method}', *{predict}]) == 0\n"
            "print('loaded' if loaded else 'not loaded' if 'mindspore' not in sys.modules else 'later')\n"
        )
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
        found = []
        for _ in range(2):
            command = [sys.executable, "-c", program]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
            assert done.returncode == 0, done.stderr
            found.append(done.stdout.splitlines()[-1])
        assert found == ["loaded", "not loaded"], (method, found)


def test_where_nothing_can_be_kept_it_works_all_the_same(small, images, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = Frozen(
        partial(small.net, SIZE), photographs(SIZE), outputs=NAMES, runtime=Runtime(ONNX_RUNTIME, FLOAT32, "CPU")
    )(images)
    assert len(found) == 3 and (tmp_path / "file").is_file()


def test_what_was_not_used_for_long_makes_room(places, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 350)
    for number in range(3):
        kept.write(f"key{number}", bytes(100))
        [path] = places.glob(f"key{number}-*")
        os.utime(path, (number, number))
    assert kept.read("key0") is not None  # used again: now the newest
    kept.write("key3", bytes(100))
    assert [kept.read(f"key{number}") is not None for number in range(4)] == [True, False, True, True]


def test_what_cannot_be_exported_runs_in_mindspore(images, caplog, small, monkeypatch):
    def refuse(*_, **__):
        raise DataError("no such operator")

    monkeypatch.setattr(onnx_file, "content", refuse)
    monkeypatch.setattr(kept, "read", lambda key: None)
    runtime = Runtime(ONNX_RUNTIME, FLOAT32, "CPU")
    with caplog.at_level("INFO", logger="anomaly"):
        found = Frozen(partial(small.net, SIZE), photographs(SIZE), outputs=NAMES, runtime=runtime)(images)
    wanted = small.net(SIZE)(Tensor(images))
    np.testing.assert_array_equal(found[2], wanted[2].asnumpy())
    assert "no such operator" in caplog.text


def test_another_file_is_no_graph(tmp_path):
    with pytest.raises(DataError, match="net: not an ONNX file"):
        onnx_runtime.open(b"nonsense", ("a",), name="net")


def test_a_signal_after_openvino_is_one_that_can_be_handled(small):
    """Several models come and go, and Ctrl-C is still Ctrl-C."""
    program = (
        "import os, signal, anomaly, numpy as np\n"
        "from anomaly.engines import open_vino, kept\n"
        "graph = next(kept.folder().glob('*.onnx')).read_bytes()\n"
        "import openvino\n"
        "names = tuple(o.any_name for o in open_vino._core().read_model(graph).outputs)\n"
        "runs = [open_vino.open(graph, names, name='x', precision='float32') for _ in range(3)]\n"
        "del runs[0]; runs.clear()\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\nexcept KeyboardInterrupt:\n    print('in order')\n"
    )
    Frozen(
        partial(small.net, SIZE), photographs(SIZE), outputs=NAMES, runtime=Runtime(ONNX_RUNTIME, FLOAT32, "CPU")
    ).graph()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "in order", done.stderr
