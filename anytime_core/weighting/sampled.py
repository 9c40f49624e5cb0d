"""Oscillating weights: in every step one exit, drawn at random, weighs more."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from anytime_core.weighting.base import LossWeighting
from anytime_core.weighting.static import SCHEMES


class Sampled(LossWeighting):
    """B_i(t) = w_i + [i = i*(t)] · W / ρ, with static weights w, their sum W and one exit i* drawn for every step.

    i* is the last exit in the first step, and is drawn anew after each one. With the default ρ = 2 the drawn exit has a
    third of all weight on top of its static share. With ρ ≤ 0 it is trained alone: B_i(t) = [i = i*(t)] · W.

    Source: earlier versions of the AdaLoss paper (arXiv 1708.06832 v2), as in the authors' code.

    The draw is a function of the seed and the number of the step (the SplitMix64 generator of Steele, Lea and Flood
    2014, which gives its t-th number without the ones before). So all state is the step; a run that is resumed goes on
    bit for bit, on another kind of device too, all processes of a distributed run draw the same exit, and nothing
    waits for a device.

    Args:
        num_exits: K.
        scheme: w, a static weighting by name.
        draw: ``"static"``: P(i* = i) = w_i / W. ``"uniform"``: 1 / K.
        rho: ρ, the static mass over the extra; 0 or less trains the drawn exit alone.
        seed: Of the draws, 0 or more and below 2^63.

    Attributes:
        static: w, [K].
        step: int64 scalar, training steps taken.

    Raises:
        ValueError: a knob outside its range, or K is below 1.
    """

    static: Tensor
    step: Tensor

    def __init__(
        self,
        num_exits: int,
        *,
        scheme: Literal["const", "linear", "half_end", "sieve", "exponential"] = "sieve",
        draw: Literal["static", "uniform"] = "static",
        rho: float = 2.0,
        seed: int = 0,
    ) -> None:
        _require(scheme in SCHEMES, "scheme", f"one of {', '.join(SCHEMES)}", scheme)
        _require(draw in ("static", "uniform"), "draw", "static or uniform", draw)
        # 1e-6: far beyond use, and W / ρ stays far from overflow
        _require(
            math.isfinite(rho) and (rho <= 0 or rho >= 1e-6), "rho", "a number of 1e-6 or more, or of 0 or less", rho
        )
        _require(0 <= seed < 2**63, "seed", "0 or more and below 2^63", seed)
        static = SCHEMES[scheme](num_exits).weights
        super().__init__(static.clone())
        self.scheme = scheme
        self.draw = draw
        self.rho = rho
        self.seed = seed
        self.register_buffer("static", static, persistent=False)  # given by the options
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.weights.copy_(self._weights_for(torch.tensor(num_exits - 1)))

    def update(self, measured: Tensor) -> None:  # noqa: ARG002 (draws ignore the losses)
        """Draw the exit of the next step. No device sync."""
        self.step += 1
        chances = self.static if self.draw == "static" else torch.ones_like(self.static)
        bounds = chances.float().cumsum(0)
        bounds = bounds / bounds[-1]
        # exit i + 1 is drawn between bounds i and i + 1; the last bound is 1, which no draw reaches
        drawn = (bounds <= uniform(self.seed, self.step)).sum()
        self.weights.copy_(self._weights_for(drawn))

    def _weights_for(self, drawn: Tensor) -> Tensor:
        """B when the exit of index ``drawn``, counted from 0, is i*."""
        chosen = (torch.arange(self.num_exits, device=self.static.device) == drawn).to(self.static.dtype)
        total = self.static.sum()
        return self.static + chosen * total / self.rho if self.rho > 0 else chosen * total

    def extra_repr(self) -> str:
        """Knobs, shown by ``repr``."""
        return (
            f"num_exits={self.num_exits}, scheme={self.scheme!r}, draw={self.draw!r}, rho={self.rho}, seed={self.seed}"
        )


def uniform(seed: int, step: Tensor) -> Tensor:
    """The ``step``-th number of the stream ``seed``, in [0, 1): a float32 of 24 bits of :func:`splitmix64`."""
    return ((splitmix64(seed, step) >> 40) & 0xFFFFFF).float() / 2**24


def splitmix64(seed: int, step: Tensor) -> Tensor:
    """The ``step``-th number, counted from 1, that the SplitMix64 generator started at ``seed`` gives.

    Args:
        seed: 0 or more and below 2^63.
        step: int64, any shape.

    Returns:
        int64 of the shape of ``step``: the 64 bits, read as a signed number. Products of int64 wrap around.
    """
    bits = seed + step * _signed(0x9E3779B97F4A7C15)
    bits = (bits ^ _shifted(bits, 30)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ _shifted(bits, 27)) * _signed(0x94D049BB133111EB)
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Shift right and fill with zeros; ``>>`` alone would fill with the sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def _signed(unsigned: int) -> int:
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise ValueError(f"Sampled {name}: expected {expected}, found {found}")
