"""CaiT (arXiv 2103.17239) up to the last block that is asked for, frozen: the blocks of the patches, without its class.

Its attention mixes the heads, before the softmax and after it; else it is a vision transformer with LayerScale.
"""

from typing import Any

from anomaly.networks import vit
from anomaly.networks.registry import TransformerRecord

NOT_NEEDED = r"(head\.|cls_token$|blocks\.\d+\.|blocks_token_only\.)"  # of a file of weights


def _mixing(record: TransformerRecord) -> dict:
    """What a file of weights has for it: name in the network -> name there."""
    return {
        f"blocks.{number}.attention.{own}": f"blocks.{number}.attn.{theirs}"
        for number in range(vit.depth(record.layers))
        for own, theirs in (("mix_before", "proj_l"), ("mix_after", "proj_w"))
    }


def expected(record: TransformerRecord) -> dict:
    heads, shapes = record.heads, vit.expected(record)
    for name in _mixing(record).values():
        shapes |= {f"{name}.weight": (heads, heads), f"{name}.bias": (heads,)}
    return shapes


def renamed(arrays: dict) -> dict:
    return {name.replace(".gamma_1", ".scale1").replace(".gamma_2", ".scale2"): value for name, value in arrays.items()}


def folded(arrays: dict, record: TransformerRecord) -> dict:
    found = vit.folded(arrays, record)
    for own, theirs in _mixing(record).items():
        found[f"{own}.weight"] = arrays[f"{theirs}.weight"][:, :, None, None]
        if own.endswith("after"):
            found[f"{own}.bias"] = arrays[f"{theirs}.bias"]
    return found


def random_weights(record: TransformerRecord, seed: int) -> dict:
    return folded(vit.drawn(expected(record), seed), record)


def build(record: TransformerRecord, layers: tuple, *, folded: dict, size: tuple) -> Any:
    from anomaly.networks.attention import TalkingHeads  # which loads MindSpore

    return vit.build(record, layers, folded=folded, size=size, attention=TalkingHeads)
