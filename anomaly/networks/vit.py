"""Vision transformers (arXiv 2010.11929) up to the last block that is asked for, frozen.

DeiT has a distillation token beside the class token (2012.12877); DINOv2 scales what each block adds and may have
registers, four tokens more (2304.07193, 2309.16588). What a layer gives are the tokens of the patches after its block,
through the network's last LayerNorm: DINOv2's own features are taken like that, and FastFlow's implementations do the
same with DeiT and CaiT. Without it a few channels are so large that they alone decide distances.

LayerScale and the square root in the attention are folded into the weights next to them.
"""

from typing import Any

import numpy as np

from anomaly.networks.registry import TransformerRecord
from anomaly.networks.resample import bicubic

NOT_NEEDED = r"(head\.|head_dist\.|mask_token$|blocks\.\d+\.)"  # of a file of weights
REGISTERS = 4
WIDENING = 4  # of the channels inside a block
ROWS = {"cls_token": 1, "dist_token": 1, "reg_token": REGISTERS}  # of the tokens before those of the patches


def index(layer: str) -> int:
    return int(layer.removeprefix("block"))


def depth(layers: tuple) -> int:
    """How many blocks it takes."""
    return 1 + max(map(index, layers))


def grid_of(record: TransformerRecord, seen: tuple) -> tuple:
    """Of what the network sees, rows and columns of patches."""
    return tuple(side // record.strides[0] for side in seen)


def before(record: TransformerRecord) -> int:
    """How many tokens come before those of the patches."""
    return sum(ROWS[name] for name in record.tokens)


def expected(record: TransformerRecord) -> dict:
    """By timm's names; what LayerScale multiplies with is called scale1 and scale2."""
    c, patch = record.channels[0], record.strides[0]
    positions = (record.native // patch) ** 2 + (before(record) if record.placed else 0)
    shapes = {
        **{name: (1, ROWS[name], c) for name in record.tokens},
        "pos_embed": (1, positions, c),
        "patch_embed.proj.weight": (c, 3, patch, patch),
        "patch_embed.proj.bias": (c,),
        "norm.weight": (c,),
        "norm.bias": (c,),
    }
    linears = {"attn.qkv": (3 * c, c), "attn.proj": (c, c), "mlp.fc1": (WIDENING * c, c), "mlp.fc2": (c, WIDENING * c)}
    for number in range(depth(record.layers)):
        block = f"blocks.{number}"
        for name, shape in linears.items():
            shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (c,), f"{block}.{norm}.bias": (c,)}
        if record.scaled:
            shapes |= {f"{block}.scale1": (c,), f"{block}.scale2": (c,)}
    return shapes


def renamed(arrays: dict) -> dict:
    """The makers' files of DINOv2 as timm has them: registers by their name, no positions for the other tokens."""
    for number in (1, 2):
        arrays = {name.replace(f".ls{number}.gamma", f".scale{number}"): value for name, value in arrays.items()}
    nothing = np.zeros(0)
    token, positions = arrays.get("cls_token", nothing), arrays.get("pos_embed", nothing)
    if "register_tokens" in arrays and token.ndim == positions.ndim == 3 and token.shape[2] == positions.shape[2]:
        arrays["reg_token"] = arrays.pop("register_tokens")
        arrays |= {"cls_token": token + positions[:, :1], "pos_embed": positions[:, 1:]}
    return arrays


def folded(arrays: dict, record: TransformerRecord) -> dict:
    c = record.channels[0]
    positions = arrays["pos_embed"][0]
    tokens = np.concatenate([np.zeros((0, c), np.float32), *(arrays[name][0] for name in record.tokens)])
    if record.placed:
        tokens, positions = tokens + positions[: len(tokens)], positions[len(tokens) :]
    found = {
        "tokens": tokens,
        "positions": positions,
        "patches.weight": arrays["patch_embed.proj.weight"],
        "patches.bias": arrays["patch_embed.proj.bias"],
        "norm.weight": arrays["norm.weight"],
        "norm.bias": arrays["norm.bias"],
    }
    for number in range(depth(record.layers)):
        block = {key.split(".", 2)[2]: value for key, value in arrays.items() if key.startswith(f"blocks.{number}.")}
        found |= {f"blocks.{number}.{key}": value for key, value in _folded(block, record.heads).items()}
    return found


def _folded(block: dict, heads: int) -> dict:
    """One block."""
    found = {name: block[name] for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")}
    parts = {key: np.split(block[f"attn.qkv.{key}"], 3) for key in ("weight", "bias")}
    root = np.sqrt(len(parts["bias"][0]) // heads).astype(np.float32)
    for i, (name, divisor) in enumerate((("query", root), ("key", 1), ("value", 1))):
        found |= _linear(f"attention.{name}", parts["weight"][i] / divisor, parts["bias"][i] / divisor)
    for name, theirs, scale in (("attention.out", "attn.proj", "scale1"), ("down", "mlp.fc2", "scale2")):
        by = block.get(scale, np.ones(1, np.float32))
        found |= _linear(name, block[f"{theirs}.weight"] * by[:, None], block[f"{theirs}.bias"] * by)
    return found | _linear("up", block["mlp.fc1.weight"], block["mlp.fc1.bias"])


def _linear(name: str, weight: np.ndarray, bias: np.ndarray) -> dict:
    return {f"{name}.weight": np.ascontiguousarray(weight.T), f"{name}.bias": bias}


def random_weights(record: TransformerRecord, seed: int) -> dict:
    return folded(drawn(expected(record), seed), record)


def drawn(shapes: dict, seed: int) -> dict:
    """Arrays that keep the size of what goes through them; nothing lies beyond two standard deviations."""
    rng, found = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        if name.endswith(("token", "pos_embed")) or len(shape) > 1:
            std = 1 / np.sqrt(np.prod(shape[1:])) if name.endswith("weight") else 0.5
            found[name] = np.clip(rng.standard_normal(shape, np.float32), -2, 2) * np.float32(std)
        else:
            found[name] = np.full(shape, 0 if name.endswith("bias") else 1, np.float32)
    return found


def resampled(positions: np.ndarray, side: int, *, grid: tuple) -> np.ndarray:
    """side² C -> N C for another grid."""
    square = positions.reshape(side, side, -1)
    rows, columns = (bicubic(length, side) for length in grid)
    return np.einsum("hi,wj,ijc->hwc", rows, columns, square, optimize=True).reshape(-1, positions.shape[1])


def build(record: TransformerRecord, layers: tuple, *, folded: dict, size: tuple, attention: Any = None) -> Any:
    """The patches take the division by the standard deviation; positions are brought to the grid of the size."""
    from anomaly.networks.cells import with_values  # which load MindSpore
    from anomaly.networks.vit_cells import Attention, Transformer

    grid, values = grid_of(record, size), dict(folded)
    positions = resampled(values.pop("positions"), record.native // record.strides[0], grid=grid)
    scale = (255 * np.array(record.std, np.float32)).reshape(1, 3, 1, 1)
    values["start"] = np.concatenate([values.pop("tokens"), positions])[None]
    values["patches.weight"] = values["patches.weight"] / scale
    return with_values(Transformer(record, layers, size=size, attention=attention or Attention), values)
