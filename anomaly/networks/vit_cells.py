"""What a vision transformer computes."""

from mindspore import Parameter, nn, ops

from anomaly.networks.attention import Attention, Block, LayerNorm, zeros
from anomaly.networks.cells import Normalise
from anomaly.networks.registry import TransformerRecord
from anomaly.networks.vit import before, depth, grid_of, index


class Transformer(nn.Cell):
    """Photographs B H W 3 -> of each named layer the tokens of the patches, B C h w."""

    def __init__(self, record: TransformerRecord, layers: tuple, *, size: tuple, attention: type = Attention) -> None:
        super().__init__()
        channels, patch, heads = record.channels[0], record.strides[0], record.heads
        self.grid = grid_of(record, size)
        self.before = before(record)
        self.channels = channels
        tokens = self.before + self.grid[0] * self.grid[1]
        self.layers = layers
        self.normalise = Normalise(record.mean)
        self.patches = nn.Conv2d(3, channels, patch, patch, "valid", has_bias=True)
        self.pad = nn.Pad(((0, 0), (self.before, 0), (0, 0)))  # with zeros, where the other tokens are added
        self.start = Parameter(zeros(1, tokens, channels), name="start")
        self.blocks = nn.CellList(
            [Block(channels, attention(channels, heads, tokens=tokens)) for _ in range(depth(layers))]
        )
        self.norm = LayerNorm(channels)
        self.wanted = tuple(map(index, layers))
        self.set_train(False)
        self.set_grad(False)

    def construct(self, images):
        x = self.patches(self.normalise(images)).reshape(-1, self.channels, self.grid[0] * self.grid[1])
        x = ops.transpose(x, (0, 2, 1))  # B N C
        if self.before:
            x = self.pad(x)
        x, features = x + self.start, ()
        for i in range(len(self.blocks)):
            x = self.blocks[i](x)
            if i in self.wanted:
                patches = x[:, self.before :] if self.before else x  # a slice of all is one that no runtime takes
                found = ops.transpose(self.norm(patches), (0, 2, 1))
                features += (found.reshape(-1, self.channels, self.grid[0], self.grid[1]),)
        return features
