"""Small trained-looking networks for the tests of inference, and one whose time and answers are written down."""

import torch
from torch import nn
from torchvision.models import resnet18

from anytime_core import EANN, AnytimeNetwork, MSDNet, ResANN, with_exits
from tests.core.on_device import on_device, randn

SHAPE = (1, 12, 12)


def adopted(net):
    net.adopt([0.5, 0.4, 0.45, 0.6, 0.3, 0.35, 0.2, 0.1, 0.15])  # exits 1, 2, 5, 7 and 8 of 9
    return net


def two_resanns():
    return EANN([ResANN(n=n, c=4, in_channels=1) for n in (1, 2)])


NETWORKS = {
    "resann": lambda: ResANN(n=2, c=4, in_channels=1),
    "segments of two units": lambda: ResANN(n=2, c=4, s=2, in_channels=1),
    "msdnet": lambda: MSDNet(blocks=(3, 3), growth=2, s=1, in_channels=1),
    "backbone": lambda: with_exits(
        nn.Sequential(nn.Conv2d(1, 3, 1), resnet18(num_classes=10)), at=["1.layer1", "1.layer2"], inputs=SHAPE
    ),
    "eann": two_resanns,
    "eann, some adopted": lambda: adopted(two_resanns()),
}


def made(build):
    """A network on the device under test whose running statistics differ from those of one batch."""
    torch.manual_seed(0)
    net = on_device(build()).train()
    for seed in range(3):
        net(randn(16, *SHAPE, seed=seed))
    return net


class Tokens(nn.Module):
    """A first segment that takes token ids [N, T]."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)

    def forward(self, ids):
        return self.embedding(ids).mean(1)


class Masked(Tokens):
    """One that takes a dict of ids and a mask [N, T], as tokenizers give them."""

    def forward(self, given):
        mask = given["mask"][..., None].float()
        return (self.embedding(given["ids"]) * mask).sum(1) / mask.sum(1)


class Volume(nn.Module):
    """One that takes volumes [N, 1, D, H, W]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 1)

    def forward(self, x):
        return self.conv(x).mean((2, 3, 4))


def small(first):
    """Two exits of two classes after a first segment that gives [N, 4]."""
    torch.manual_seed(0)
    heads = [nn.Linear(4, 2) for _ in range(2)]
    return on_device(AnytimeNetwork([first, nn.Sequential(nn.Linear(4, 4), nn.ReLU())], heads)).eval()


class Rows(nn.Module):
    """A head that reads row k of each image as its logits."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def forward(self, x):
        return x[:, 0, self.row]


def table(*exits):
    """Images [N, 1, K, classes] that hold their own logits, and the network that reads them exit by exit."""
    net = AnytimeNetwork([nn.Identity() for _ in exits], [Rows(row) for row in range(len(exits))])
    return net, torch.tensor(exits).transpose(0, 1)[:, None]  # without parameters a network is on the CPU


MASK = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
KINDS = {  # of inputs: the first segment, and three of them
    "features": (lambda: nn.Linear(5, 4), randn(3, 5)),
    "token ids": (Tokens, on_device(torch.arange(9).view(3, 3) % 7)),
    "dict": (Masked, {"ids": on_device(torch.arange(9).view(3, 3) % 7), "mask": on_device(MASK)}),
    "volumes": (Volume, randn(3, 1, 2, 3, 4)),
}
