"""Tensors and networks on the device under test; the same numbers on every device, as all are drawn on the CPU."""

import os

import torch

DEVICE = torch.device(os.environ.get("ANYTIME_TEST_DEVICE", "cpu"))


def on_device(thing):
    """A tensor, an array, numbers or a module, on the device under test."""
    return (thing if hasattr(thing, "to") else torch.as_tensor(thing)).to(DEVICE)


def randn(*shape, seed=0):
    """Normal numbers of this shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
