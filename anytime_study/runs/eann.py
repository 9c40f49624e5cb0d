"""The study's ensemble of anytime networks: ResANNs of growing depth."""

from __future__ import annotations

from itertools import pairwise

from anytime_core import EANN, ResANN


def eann(n: tuple[int, ...] = (1, 3), c: int = 16, s: int = 1, *, num_classes: int = 10, in_channels: int = 3) -> EANN:
    """An EANN of ResANNs that differ in depth.

    Args:
        n: Residual units per stage of each member, growing (paper: 7, 13, 25 with c = 32: about twice the cost each).
        c, s, num_classes, in_channels: Of every member, as for :class:`ResANN`.

    Raises:
        ValueError: ``n`` is empty or does not grow; a value that ResANN refuses.
    """
    if not n or any(after <= before for before, after in pairwise(n)):
        raise ValueError(f"eann n: expected one or more growing numbers, found {n}")
    return EANN(ResANN(depth, c, s, num_classes=num_classes, in_channels=in_channels) for depth in n)
