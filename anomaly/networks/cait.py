"""CaiT (arXiv 2103.17239) up to the last block that is asked for, frozen: the blocks of the patches, without its class.

Its attention mixes the heads, before the softmax and after it; else it is a vision transformer with LayerScale.
"""

from mindspore import nn, ops

from anomaly.networks import vit
from anomaly.networks.attention import Attention
from anomaly.networks.registry import TransformerRecord

NOT_NEEDED = r"(head\.|cls_token$|blocks\.\d+\.|blocks_token_only\.)"  # of a file of weights


class TalkingHeads(Attention):
    def __init__(self, channels: int, heads: int, *, tokens: int) -> None:
        super().__init__(channels, heads, tokens=tokens)
        # A number for each head, which the first mixing could add, leaves the softmax as it is.
        self.mix_before = nn.Conv2d(heads, heads, 1)
        self.mix_after = nn.Conv2d(heads, heads, 1, has_bias=True)

    def shares(self, scores):
        return self.mix_after(ops.softmax(self.mix_before(scores), -1))


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


def build(record: TransformerRecord, layers: tuple, *, folded: dict, size: tuple) -> vit.Transformer:
    return vit.build(record, layers, folded=folded, size=size, attention=TalkingHeads)
