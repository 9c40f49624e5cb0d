import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from anytime_core.errors import InputError
from anytime_core.inference.saving import ModelCard, SavedModel, load_model
from anytime_core.networks.msdnet import MSDNet
from anytime_core.networks.resann import ResANN
from anytime_study.pages.live_networks import LARGEST_SCRIPT, fold, live_script
from anytime_study.runs.imagenet import resann_imagenet

MODELS = Path(__file__).parents[3] / "data/models"
CARD = ModelCard("ResANN", class_names=("a", "b", "c"), input_shape=(3, 9, 10), mean=(0.4,) * 3, std=(0.2,) * 3)


def trained(**options):
    """A network whose batch norms do something: random weights, shifts and running averages."""
    torch.manual_seed(0)
    net = ResANN(**{"n": 1, "c": 4, "num_classes": 3, **options})
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 2)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_()
    return net.eval()


def logits_of_folded(net, x):
    """What the runtime computes, by torch: [N, C, H, W] -> [K, N, classes]."""
    (kernel, bias), *parts = fold(net)
    x = F.conv2d(x, kernel, bias, padding=1)
    logits = []
    for part in parts:
        if len(part) == 2:
            logits.append(F.linear(F.relu(x).mean((2, 3)), *part))
            continue
        scale, shift, first, first_bias, second, second_bias = part
        stride = len(first_bias) // x.shape[1]
        y = F.relu(x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1))
        y = F.relu(F.conv2d(y, first, first_bias, padding=1, stride=stride))
        y = F.conv2d(y, second, second_bias, padding=1)
        if stride == 2:
            side = x.shape[1] // 2
            x = F.pad(F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False), (0, 0, 0, 0, side, side))
        x = x + y
    return torch.stack(logits)


def read(script, name):
    """What a script sets, its two rows of numbers decoded."""
    begin = f"(window.ANYTIME_NETWORKS ??= {{}})[{json.dumps(name)}] = "
    assert script.startswith(begin)
    assert script.isascii()
    data = json.loads(script.removeprefix(begin)[:-2])
    for row, dtype in (("kernels", "<i2"), ("numbers", "<f4")):
        data[row] = np.frombuffer(base64.b64decode(data[row]), dtype)
    return data


@pytest.mark.parametrize("options", [{"n": 2, "c": 8}, {"n": 3, "c": 4, "s": 2}, {"n": 2, "c": 4, "first_exit": 3}])
def test_the_folded_network_is_the_network_at_every_exit(options):
    net = trained(**options)
    images = torch.randn(16, 3, 9, 10)
    with torch.inference_mode():
        expected = net(images)
        torch.testing.assert_close(logits_of_folded(net, images), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("folder", sorted(MODELS.glob("*/")), ids=lambda folder: folder.name)
def test_shipped_networks_fold_exactly_and_are_small(folder):
    model = load_model(folder)
    channels, height, width = model.card.input_shape
    images = torch.randn(8, channels, height, width)
    with torch.inference_mode():
        torch.testing.assert_close(logits_of_folded(model.net, images), model.net(images), atol=1e-3, rtol=0)
    script = live_script("garments", model)
    assert len(script) < 750_000
    data = read(script, "garments")
    n, c = model.card.options["n"], model.card.options["c"]
    assert data["channels"] == [[c * 2**stage] for stage in range(3) for _ in range(n)]
    assert data["shape"] == [height, width, channels]
    assert data["classes"] == list(model.card.class_names)


def test_kernels_come_back_to_half_a_step_in_the_order_of_the_runtime():
    net = trained()
    data = read(live_script('a "name"', SavedModel(net, CARD)), 'a "name"')
    stem = next(fold(net))[0]  # [4, 3, 3, 3]: one block of four output channels
    scales, bias = data["numbers"][:4], data["numbers"][4:8]
    whole = data["kernels"][: stem.numel()].reshape(3, 3, 3, 4)  # row, column, input channel, output channel
    assert (np.abs(whole * scales - stem.permute(2, 3, 1, 0).numpy()) <= 0.501 * scales).all()
    assert np.abs(whole).max((0, 1, 2)).tolist() == [32_767] * 4
    assert not bias.any()
    last = net.heads[-1].linear.bias.detach().numpy()
    np.testing.assert_array_equal(data["numbers"][-3:], last)


def test_a_channel_of_zeros_is_exported():
    net = trained()
    net.segments[0][0].weight.data[1] = 0
    data = read(live_script("zeros", SavedModel(net, CARD)), "zeros")
    assert not data["kernels"][:108].reshape(-1, 4)[:, 1].any()
    assert np.isfinite(data["numbers"]).all()


@pytest.mark.parametrize(
    ("net", "card", "says"),
    [
        (MSDNet(num_classes=3), CARD, "expected a ResANN for small images, found MSDNet"),
        (resann_imagenet(18, num_classes=3), CARD, "expected a ResANN for small images, found AnytimeNetwork"),
        (trained(c=6), CARD, "expected c to be a multiple of 4, found c=6"),
        (trained(), replace(CARD, mean=(), std=()), "expected a card with input_shape (C, H, W), mean and std"),
        (trained(n=2, c=32), CARD, f"expected at most {LARGEST_SCRIPT} bytes, found "),
    ],
    ids=["family", "large images", "channels", "card", "size"],
)
def test_networks_that_cannot_be_exported_are_refused(net, card, says):
    with pytest.raises(InputError, match=re.escape(says)):
        live_script("name", SavedModel(net, card))
