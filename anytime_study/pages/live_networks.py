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
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anytime_core.errors import InputError
from anytime_core.inference.saving import SavedModel
from anytime_core.networks.heads import Head
from anytime_core.networks.resann import ResANN
from anytime_core.networks.units import BasicUnit

LARGEST_SCRIPT = 1_500_000
"""Bytes of one script: a page that shows two networks stays small enough to be sent by mail."""
BLOCK = 4  # output channels that the runtime computes at once


class Convolution(NamedTuple):
    """A 3×3 convolution with padding 1 and the batch norm after it, folded: weight [O, I, 3, 3] and bias [O]."""

    weight: Tensor
    bias: Tensor


class Unit(NamedTuple):
    """x -> shortcut(x) + second(ReLU(first(ReLU(scale · x + shift)))); scale and shift [I] stay, for a ReLU follows."""

    scale: Tensor
    shift: Tensor
    first: Convolution
    second: Convolution


class Segment(NamedTuple):
    """Units, then the head's linear layer, weight [classes, C] and bias [classes]."""

    units: list[Unit]
    weight: Tensor
    bias: Tensor


class FoldedNetwork(NamedTuple):
    """What the runtime computes: the first convolution, then segment after segment."""

    stem: Convolution
    segments: list[Segment]


def fold(net: nn.Module) -> FoldedNetwork:
    """Fold the batch norms of a trained ResANN for small images, with running averages as in evaluation.

    Raises:
        InputError: another network, or one whose channels do not come in fours.
    """
    if type(net) is not ResANN:
        raise InputError(f"live network: expected a ResANN for small images, found {type(net).__name__}")
    stem = next(net.segments[0].children())
    assert isinstance(stem, nn.Conv2d)
    if stem.out_channels % BLOCK:
        raise InputError(f"live network: expected c to be a multiple of {BLOCK}, found c={stem.out_channels}")
    segments = []
    for segment, head in zip(net.segments, net.heads, strict=True):
        units = [_fold_unit(unit) for unit in segment.children() if isinstance(unit, BasicUnit)]  # all but the stem
        assert isinstance(head, Head)
        segments.append(Segment(units, head.linear.weight.detach(), head.linear.bias.detach()))
    return FoldedNetwork(Convolution(stem.weight.detach(), torch.zeros(stem.out_channels)), segments)


def live_script(name: str, model: SavedModel) -> str:
    """The script of one network.

    Args:
        name: What a page calls it by.
        model: Of :func:`anytime_core.inference.saving.load_model`; its card says the images' shape and normalisation.

    Returns:
        JavaScript that sets ``window.ANYTIME_NETWORKS[name]`` to an object of ``classes``, names; ``shape``, [H, W, C];
        ``mean`` and ``std`` of pixels on the scale where white is 1; ``channels``, those after each unit of each
        segment; ``kernels``, int16, and ``numbers``, float32: scales of kernels and all other weights, both
        little-endian in base64 in the order in which the runtime reads them.

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
    folded = fold(model.net)
    kernels, numbers = [], []
    for tensor in _in_order(folded):
        if tensor.ndim == 4:
            scale = tensor.abs().amax((1, 2, 3)).clamp_min(1e-30) / 32_767  # a channel of zeros has a scale too
            numbers.append(scale)
            whole = (tensor / scale.view(-1, 1, 1, 1)).round()
            # [O, I, 3, 3] -> [O / 4, 3, 3, I, 4]: the runtime's innermost loop reads straight on
            kernels.append(whole.unflatten(0, (-1, BLOCK)).permute(0, 3, 4, 2, 1))
        else:
            numbers.append(tensor)
    channels, height, width = card.input_shape
    data = {
        "classes": card.class_names,
        "shape": [height, width, channels],
        "mean": card.mean,
        "std": card.std,
        "channels": [[len(unit.second.bias) for unit in segment.units] for segment in folded.segments],
        "kernels": _base64(kernels, "<i2"),
        "numbers": _base64(numbers, "<f4"),
    }
    text = f"(window.ANYTIME_NETWORKS ??= {{}})[{json.dumps(name)}] = {json.dumps(data)};\n"
    if len(text) > LARGEST_SCRIPT:
        raise InputError(f"live network {name}: expected at most {LARGEST_SCRIPT} bytes, found {len(text)}")
    return text


def _fold_unit(unit: BasicUnit) -> Unit:
    return Unit(*_affine(unit.norm1), _fold(unit.conv1, unit.norm2), _fold(unit.conv2, unit.norm3))


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Convolution:
    scale, shift = _affine(norm)
    return Convolution(convolution.weight.detach() * scale.view(-1, 1, 1, 1), shift)


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift [C] of a batch norm in evaluation."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight.detach() / (variance + norm.eps).sqrt()
    return scale, norm.bias.detach() - mean * scale


def _in_order(network: FoldedNetwork) -> Iterator[Tensor]:
    """All weights in the order in which the runtime reads them."""
    yield from network.stem
    for segment in network.segments:
        for unit in segment.units:
            yield from (unit.scale, unit.shift, *unit.first, *unit.second)
        yield from (segment.weight, segment.bias)


def _base64(tensors: list[Tensor], dtype: str) -> str:
    return base64.b64encode(b"".join(tensor.cpu().numpy().astype(dtype).tobytes() for tensor in tensors)).decode()
