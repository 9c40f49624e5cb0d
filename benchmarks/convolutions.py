"""A network's convolutions, alone: the part of a training step that no code around it can make faster."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """One kind of convolution in a network, without bias.

    Attributes:
        input: [N, C, H, W].
        output: [N, C', H', W'].
        kernel: [C', C / groups, height, width].
        stride: Vertical and horizontal.
        padding: Vertical and horizontal.
        groups: Groups.
        first: It takes the images, which need no gradient.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int
    first: bool

    @property
    def name(self) -> str:
        """For people: channels, size of the map, stride."""
        _, channels, height, width = self.input
        return f"{channels} → {self.kernel[0]} channels, {height}×{width}, stride {self.stride[0]}"

    @property
    def macs(self) -> int:
        """Multiply-adds of a training step: forward, gradient of the weights and, unless first, of the input."""
        count, _, height, width = self.output
        forward = count * height * width * torch.Size(self.kernel).numel()
        return forward * (2 if self.first else 3)


def convolutions_of(network: nn.Module, images: Tensor) -> Counter[Shape]:
    """How often each kind of convolution occurs in a forward pass over ``images`` [N, C, H, W]."""
    found: Counter[Shape] = Counter()

    def note(module: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        found[
            Shape(
                input=tuple(inputs[0].shape),
                output=tuple(output.shape),
                kernel=tuple(module.weight.shape),
                stride=tuple(module.stride),
                padding=tuple(int(pixels) for pixels in module.padding),
                groups=module.groups,
                first=inputs[0] is images,
            )
        ] += 1

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, nn.Conv2d)]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


class Convolution:
    """Forward and backward of one kind of convolution, in channels_last.

    Args:
        shape: Which.
        dtype: Of all tensors.
        device: Where.
    """

    def __init__(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> None:
        self.shape = shape
        self.input, self.weight, self.gradient = (
            torch.randn(size, device=device).to(dtype).to(memory_format=torch.channels_last)
            for size in (shape.input, shape.kernel, shape.output)
        )

    def step(self) -> None:
        """What a training step computes: the result, the gradient of the weights and, unless first, of the input."""
        shape = self.shape
        torch.nn.functional.conv2d(
            self.input, self.weight, stride=shape.stride, padding=shape.padding, groups=shape.groups
        )
        # The operation itself instead of autograd around it: this is to be a limit.
        torch.ops.aten.convolution_backward(
            self.gradient,
            self.input,
            self.weight,
            None,
            shape.stride,
            shape.padding,
            (1, 1),
            False,
            (0, 0),
            shape.groups,
            (not shape.first, True, False),
        )
