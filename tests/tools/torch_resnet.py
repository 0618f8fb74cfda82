"""The ResNets and WideResNet50-2 up to layer 3 in plain PyTorch, with torchvision's names, to compare with."""

import torch
from torch import nn

DEPTHS = {"resnet18": (2, 2, 2), "resnet34": (3, 4, 6), "resnet50": (3, 4, 6), "wide_resnet50": (3, 4, 6)}
WIDTHS = {"resnet50": 64, "wide_resnet50": 128}  # of the 3 x 3 convolutions in bottleneck blocks
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    def __init__(self, inputs: int, width: int, outputs: int, stride: int, bottleneck: bool):
        super().__init__()
        if bottleneck:
            self.conv1, self.bn1 = conv(inputs, width, 1), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        else:
            self.conv1, self.bn1 = conv(inputs, width, 3, stride), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if hasattr(self, "conv3"):
            x = self.bn3(self.conv3(torch.relu(x)))
        return torch.relu(x + skip)


class ResNet(nn.Module):
    def __init__(self, name: str):
        super().__init__()
        bottleneck = name in WIDTHS
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for i, depth in enumerate(DEPTHS[name]):
            width, outputs, blocks = WIDTHS.get(name, 64) << i, (256 if bottleneck else 64) << i, []
            for j in range(depth):
                blocks.append(Block(inputs, width, outputs, 2 if i and j == 0 else 1, bottleneck))
                inputs = outputs
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        first = self.layer1(x)
        second = self.layer2(first)
        return first, second, self.layer3(second)


def seeded(name: str, seed: int) -> ResNet:
    return randomised(ResNet(name), seed)


def randomised(net: nn.Module, seed: int) -> nn.Module:
    """Random weights, and BatchNorm statistics that are far from the trivial ones."""
    generator = torch.Generator().manual_seed(seed)
    net.eval()

    def uniform(tensor: torch.Tensor, low: float, high: float):
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            values = torch.randn(module.weight.shape, generator=generator)
            module.weight.data.copy_(values * (2 / fan_in) ** 0.5)
        if isinstance(module, nn.BatchNorm2d):
            uniform(module.weight, 0.5, 1.5)
            uniform(module.bias, -0.3, 0.3)
            uniform(module.running_mean, -0.3, 0.3)
            uniform(module.running_var, 0.5, 2.0)
    return net


def features(net: ResNet, images) -> tuple:
    """B H W 3 uint8 -> the outputs of the three layers."""
    x = (torch.from_numpy(images).float() / 255 - MEAN) / STD
    with torch.inference_mode():
        return net(x.permute(0, 3, 1, 2))
