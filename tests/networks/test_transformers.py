"""Vision transformers against timm's own, and through all methods."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch_timm
from commands import picture
from mindspore import Tensor
from safetensors.torch import save_file

import anomaly
from anomaly import methods
from anomaly.commands import fetch as command
from anomaly.deploy import export
from anomaly.engines import frozen, onnx_runtime, open_vino
from anomaly.engines.choice import FLOAT32, ONNX_RUNTIME, Runtime
from anomaly.networks import registry, vit, weights
from anomaly.networks.registry import TransformerRecord
from anomaly.run.errors import DataError, UsageError

CAIT, DINO = "cait_m48_448", "dinov2_vits14_reg"
TRANSFORMERS = tuple(record.name for record in registry.RECORDS if isinstance(record, TransformerRecord))
COMPARED = (*torch_timm.VITS, CAIT)
SIZES = {CAIT: (64, 64), "deit_base_distilled_384": (64, 48)}
SIZE = (56, 70)  # of the others
SMALL = {  # options of each method
    "patchcore": {"coreset_ratio": 0.2},
    "padim": {"embedding_dim": 20},
    "fastflow": {"flow_step": 1, "num_epochs": 1, "hidden_ratio": 0.1, "train_batch_size": 4},
}


def shrink(monkeypatch, record, **changes):
    others = tuple(each for each in registry.RECORDS if each.name != record.name)
    monkeypatch.setattr(registry, "RECORDS", (*others, replace(record, **changes)))


@pytest.fixture
def small_cait(monkeypatch):
    """The whole has 290 million numbers; this is one of the same parts."""
    shrink(monkeypatch, registry.get(CAIT), heads=4, channels=(48,), layers=("block2",), native=64)


@pytest.fixture
def small_dino(monkeypatch):
    shrink(monkeypatch, registry.get(DINO), heads=4, channels=(32, 32), layers=("block1", "block2"), native=70)


@pytest.fixture
def small_vits(monkeypatch):
    """Those of torch_timm.VITS: fewer channels and blocks, everything else as it is."""
    for name, (channels, _) in torch_timm.VITS.items():
        layers = ("block1", "block2") if "dino" in name else ("block2",)
        shrink(monkeypatch, registry.get(name), channels=(channels,) * len(layers), layers=layers)


def blocks(record) -> list:
    return [vit.index(layer) for layer in record.layers]


def close(mine: np.ndarray, other: np.ndarray) -> bool:
    return mine.shape == other.shape and np.abs(mine - other).max() <= 1e-4 * np.abs(other).max()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_record_is_that_of_timms_whole_network(name, tmp_path):
    """What is compared by values below is small."""
    record, net = registry.get(name), torch_timm.without_values(name)
    arrays = {key: np.broadcast_to(np.float32(0), value.shape) for key, value in net.state_dict().items()}
    theirs, needed = weights.named(arrays, record), record.module.expected(record)
    assert {key: theirs[key].shape for key in needed} == needed
    assert weights.identify(arrays, tmp_path).name == name
    attention = net.blocks[0].attn
    assert attention.num_heads == record.heads
    assert net.patch_embed.patch_size == (record.strides[0],) * 2 and record.multiple == record.strides[0]
    assert net.patch_embed.img_size == (record.native,) * 2


@pytest.mark.parametrize("name", COMPARED)
def test_a_network_and_its_graph_compute_what_timm_computes(name, tmp_path, small_cait, small_vits):
    record, size, net = registry.get(name), SIZES.get(name, SIZE), torch_timm.seeded(name, 1)
    path = tmp_path / "w.safetensors"
    save_file(net.state_dict(), path)
    images = np.stack([picture(*size, seed=seed) for seed in range(2)])
    wanted = torch_timm.features(net, images, blocks=blocks(record))
    loaded = weights.load_backbone(name, record.layers, source=str(path), seed=0)
    found = [layer.asnumpy() for layer in loaded.net(size)(Tensor(images))]
    graph = frozen.layers(loaded, size, runtime=Runtime(ONNX_RUNTIME, FLOAT32, "CPU"))
    in_onnx_runtime = onnx_runtime.open(graph.graph(), loaded.layers, name=name, target="CPU")[0]
    in_openvino = open_vino.open(graph.graph(), loaded.layers, name=name, precision=FLOAT32)[0]
    for run, batch in ((in_onnx_runtime, images), (in_onnx_runtime, images[:1]), (in_openvino, images)):
        for layer, mine, other, ours in zip(record.layers, run(batch), wanted, found):
            assert other.shape == (2, record.channels_of(layer), *record.grid(layer, size))
            assert close(ours, other.numpy()) and close(mine, other.numpy()[: len(batch)])
    again = [layer.asnumpy() for layer in loaded.net(size)(Tensor(images))]
    assert all(np.array_equal(a, b) for a, b in zip(found, again))  # the graph's stand-in is gone


@pytest.mark.parametrize("name", ["dinov2_vits14", "dinov2_vits14_reg", CAIT])
def test_the_files_of_the_makers_are_those_of_timm_and_become_checkpoints(name, tmp_path, small_cait, small_vits):
    record, state = registry.get(name), torch_timm.seeded(name, 2).state_dict()
    torch.save(state, tmp_path / "timm.pth")
    wanted = weights.load_backbone(name, record.layers, source=str(tmp_path / "timm.pth"), seed=0)
    if name == CAIT:
        official = {"model": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}
    else:
        official = {**state, "mask_token": torch.zeros(1, state["norm.weight"].shape[0])}
        if "reg_token" in official:  # here the class token has a position, which timm has added to it
            place = torch.randn_like(official["cls_token"])
            official["register_tokens"] = official.pop("reg_token")
            official["cls_token"] = official["cls_token"] - place
            official["pos_embed"] = torch.cat([place, official["pos_embed"]], 1)
    torch.save(official, tmp_path / "official.pth")
    weights.convert(tmp_path / "official.pth", tmp_path / "official.ckpt")
    for suffix in (".pth", ".ckpt"):
        source = tmp_path / f"official{suffix}"
        found = weights.load_backbone(name, record.layers, source=str(source), seed=0)
        assert found.values.keys() == wanted.values.keys()
        assert all(np.allclose(found.values[key], wanted.values[key], atol=1e-6) for key in wanted.values)


@pytest.mark.parametrize("name", registry.names())
def test_weights_are_told_apart_by_names_and_shapes(name, tmp_path):
    """Those of every network, of which these arrays take no memory; a file may hold blocks that are not needed."""
    shapes = registry.get(name).module.expected(registry.get(name))
    arrays = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    last = {key.replace("blocks.7.", "blocks.8."): value for key, value in arrays.items() if "blocks.7." in key}
    for content in (arrays, arrays | last if name.startswith("deit") else arrays):
        assert weights.identify(content, tmp_path).name == name


@pytest.mark.parametrize("grid", [(24, 24), (28, 28), (7, 5), (40, 31), (37, 60)])
@pytest.mark.parametrize("side", [24, 37])
def test_positions_are_resampled_as_timm_does_it(side, grid):
    positions = np.random.default_rng(0).normal(size=(side * side, 8)).astype(np.float32)
    wanted = torch_timm.timm.layers.resample_abs_pos_embed(
        torch.from_numpy(positions)[None], list(grid), num_prefix_tokens=0
    )
    found = vit.resampled(positions, side, grid=grid)
    assert np.abs(found - wanted[0].numpy()).max() < 1e-4
    if grid == (side, side):
        assert np.abs(found - positions).max() < 1e-6


@pytest.mark.parametrize("name", ["deit_base_distilled_384", CAIT])
def test_random_features_tell_images_apart(name, small_cait):
    record, size = registry.get(name), SIZES.get(name, SIZE)
    net = weights.load_backbone(name, record.layers, source="random", seed=1).net(size)
    for layer in net(Tensor(np.stack([picture(*size, seed=i) for i in range(2)]))):
        values = layer.asnumpy()
        assert np.isfinite(values).all() and 1e-3 < values.std() < 1e3
        assert np.abs(values[0] - values[1]).mean() > 1e-3


@pytest.mark.parametrize("method", methods.names())
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_preset_gives_a_size_that_suits(name, method):
    assert (methods.get(method).presets / f"{name}.yaml").is_file()
    config = methods.get(method).options(backbone=name)
    side = 392 if "dino" in name else registry.get(name).native
    assert config.crop is None and config.transform.size == (side, side)


@pytest.mark.parametrize(
    "name, size, near",
    [
        ("dinov2_vits14", (400, 392), "400 x 392 .* patches of 14 x 14.* 392 x 392 or 406 x 392$"),
        ("deit_base_distilled_384", (390, 400), "390 x 400 .* patches of 16 x 16.* 384 x 400 or 400 x 400$"),
        ("dinov2_vitb14", (33, 32), "33 x 32 .* 42 x 42$"),
    ],
)
def test_a_size_that_is_not_made_of_patches_is_refused_before_anything_is_loaded(name, size, near):
    for method in methods.names():
        with pytest.raises(UsageError, match=near) as caught:
            methods.get(method).options(backbone=name, resize=size, crop=None)
        assert "\n" not in str(caught.value)


def test_a_network_that_sees_pictures_smaller_sees_whole_patches(small_dino):
    record, size = registry.get(f"{DINO}@50"), (120, 201)
    assert record.seen(size) == (56, 84)
    for method in methods.names():
        methods.get(method).options(backbone=record.name, resize=size, crop=None, **SMALL[method])
    loaded = weights.load_backbone(record.name, record.layers, source="random", seed=1)
    found = loaded.net(size)(Tensor(picture(*size)[None]))
    assert [layer.shape for layer in found] == [(1, 32, *record.grid("block1", size))] * 2 == [(1, 32, 4, 6)] * 2


def test_files_with_the_right_names_and_the_wrong_shapes_are_refused_in_one_line(tmp_path):
    names = ("register_tokens", "cls_token", "pos_embed", "conv_stem.weight", "blocks.0.1.x", "blocks.0.ls1.gamma")
    save_file({name: torch.ones(3) for name in names}, tmp_path / "odd.safetensors")
    with pytest.raises(DataError, match=r"odd\.safetensors: not the weights of"):
        weights.convert(tmp_path / "odd.safetensors", tmp_path / "odd.ckpt")


def test_weights_without_a_known_checksum_are_not_fetched_but_told_where_they_are(tmp_path):
    assert len(registry.by_hand()) == 5 and not registry.by_hand().keys() & registry.addresses().keys()
    for name, url in registry.by_hand().items():
        with pytest.raises(DataError, match=f"{name}.pth: no such file.*download {url}.* by hand"):
            weights.require(tmp_path / f"{name}.pth")
        with pytest.raises(DataError, match=f"{name}.*{url}.* by hand"):
            command.main([name])


@pytest.mark.parametrize(("name", "method"), [(DINO, "patchcore"), (DINO, "padim"), (CAIT, "fastflow")])
def test_methods_train_load_and_export_with_the_same_scores(method, name, toy, tmp_path, small_cait, small_dino):
    size = SIZES.get(name, SIZE)
    options = {"backbone": name, "resize": size, "crop": None, "pre_ckpt_path": "random"}
    detector = methods.get(method).fit(toy / "gear", **options, **SMALL[method])
    detector.save(tmp_path / "gear")
    found = detector.judge(toy / "gear" / "test" / "rust")
    scores = [each.score for each in found]
    assert len({round(score, 6) for score in scores}) == 3
    again = anomaly.load(tmp_path / "gear").judge(toy / "gear" / "test" / "rust")
    np.testing.assert_allclose([each.score for each in again], scores, rtol=1e-5)
    known = methods.get(method)
    path = export.export(
        detector, known.model, target=tmp_path / "gear.onnx", file_format="ONNX", category="gear", batch=None
    )
    exported = [each.score for each in anomaly.load(path).judge(toy / "gear" / "test" / "rust")]
    np.testing.assert_allclose(exported, scores, rtol=1e-3, atol=1e-5)


def test_the_network_alone_is_exported_with_values_below_zero(tmp_path, small_dino):
    loaded = weights.load_backbone(DINO, ("block1", "block2"), source="random", seed=1)
    images = picture(*SIZE)[None]
    transform = methods.get("padim").options(backbone=DINO, resize=SIZE, crop=None, embedding_dim=20).transform
    path = export.export_backbone(loaded, transform, target=tmp_path / "net.onnx", file_format="ONNX", batch=1)
    run = onnx_runtime.open(path, loaded.layers, name="net", target="CPU")[0]
    for mine, ours in zip(run(images), loaded.net(SIZE)(Tensor(images))):
        assert mine.min() < 0 and close(mine, ours.asnumpy())
