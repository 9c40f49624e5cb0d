"""Trained networks for book/_assets/anytime-runtime.js: batch norm folded, kernels of 16 bits, as a static script.

Browsers read no file beside a page that was opened from disk, so a network is a script that sets
``window.ANYTIME_NETWORKS[name]``. The runtime knows the ResANN for small images alone.

Kernels are whole numbers of 16 bits with a scale per output channel. float16 has the same size, but moved probabilities
by up to 0.006 and changed answers of the shipped networks; these move them by less than 0.0002.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from anytime_core.errors import InputError
from anytime_core.inference.saving import SavedModel
from anytime_core.networks.heads import Head
from anytime_core.networks.resann import ResANN
from anytime_core.networks.units import BasicUnit

LARGEST_SCRIPT = 1_500_000
"""Bytes of one script: a page that shows two networks stays small enough to be sent by mail."""
BLOCK = 4  # output channels that the runtime computes at once


def fold(net: nn.Module) -> Iterator[list[Tensor]]:
    """Fold the batch norms of a trained ResANN for small images, with running averages as in evaluation.

    Yields what the runtime reads, in its order: weight [O, I, 3, 3] and bias [O] of the first convolution. Then, for
    each segment, its units, and weight [classes, C] and bias [classes] of its head. A unit is x -> shortcut(x) +
    second(ReLU(first(ReLU(scale · x + shift)))) and has six: scale and shift [I], which stay, for a ReLU follows, and
    weight and bias of both convolutions.

    Raises:
        InputError: another network, or one whose channels do not come in fours.
    """
    if type(net) is not ResANN:
        raise InputError(f"live network: expected a ResANN for small images, found {type(net).__name__}")
    stem = next(net.segments[0].children())
    assert isinstance(stem, nn.Conv2d)
    if stem.out_channels % BLOCK:
        raise InputError(f"live network: expected c to be a multiple of {BLOCK}, found c={stem.out_channels}")
    yield [stem.weight.detach(), torch.zeros(stem.out_channels)]
    for segment, head in zip(net.eval().segments, net.heads, strict=True):
        for unit in segment.children():
            if isinstance(unit, BasicUnit):  # all but the stem
                both = fuse_conv_bn_eval(unit.conv1, unit.norm2), fuse_conv_bn_eval(unit.conv2, unit.norm3)
                folded = [tensor.detach() for one in both for tensor in (one.weight, one.bias) if tensor is not None]
                yield [*_affine(unit.norm1), *folded]
        assert isinstance(head, Head)
        yield [head.linear.weight.detach(), head.linear.bias.detach()]


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift [C] of a batch norm in evaluation."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight.detach() / (variance + norm.eps).sqrt()
    return scale, norm.bias.detach() - mean * scale


def live_script(name: str, model: SavedModel) -> str:
    """The script of one network.

    Args:
        name: What a page calls it by.
        model: Of :func:`anytime_core.inference.saving.load_model`; its card says the images' shape and normalisation.

    Returns:
        JavaScript that sets ``window.ANYTIME_NETWORKS[name]`` to an object of ``classes``, names; ``shape``, [H, W, C];
        ``mean`` and ``std`` of pixels on the scale where white is 1; ``channels``, those after each unit of each
        segment; ``kernels``, int16, and ``numbers``, float32: scales of kernels and all other weights, both
        little-endian in base64 in the order of :func:`fold`.

    Raises:
        InputError: a network that cannot be exported, see :func:`fold`; a card without input shape and normalisation;
            a script of more than ``LARGEST_SCRIPT`` bytes.
    """
    card = model.card
    if len(card.input_shape) != 3 or not card.mean:
        raise InputError(
            f"live network {name}: expected a card with input_shape (C, H, W), mean and std, "
            f"found {list(card.input_shape)}, {list(card.mean)} and {list(card.std)}"
        )
    kernels, numbers = [], []
    channels: list[list[int]] = [[]]
    for tensors in fold(model.net):
        for tensor in tensors:
            if tensor.ndim == 4:
                scale = tensor.abs().amax((1, 2, 3)).clamp_min(1e-30) / 32_767  # a channel of zeros has a scale too
                numbers.append(scale)
                whole = (tensor / scale.view(-1, 1, 1, 1)).round()
                # [O, I, 3, 3] -> [O / 4, 3, 3, I, 4]: the runtime's innermost loop reads straight on
                kernels.append(whole.unflatten(0, (-1, BLOCK)).permute(0, 3, 4, 2, 1))
            else:
                numbers.append(tensor)
        if len(tensors) == 6:
            channels[-1].append(len(tensors[-1]))
        elif channels[-1]:  # a head ends a segment
            channels.append([])
    depth, height, width = card.input_shape
    data = {
        "classes": card.class_names,
        "shape": [height, width, depth],
        "mean": card.mean,
        "std": card.std,
        "channels": channels[:-1],
        "kernels": _base64(kernels, "<i2"),
        "numbers": _base64(numbers, "<f4"),
    }
    text = f"(window.ANYTIME_NETWORKS ??= {{}})[{json.dumps(name)}] = {json.dumps(data)};\n"
    if len(text) > LARGEST_SCRIPT:
        raise InputError(f"live network {name}: expected at most {LARGEST_SCRIPT} bytes, found {len(text)}")
    return text


def _base64(tensors: list[Tensor], dtype: str) -> str:
    return base64.b64encode(b"".join(tensor.cpu().numpy().astype(dtype).tobytes() for tensor in tensors)).decode()
