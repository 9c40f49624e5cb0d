"""Oscillating weights: in every step one exit, drawn at random, weighs more."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from anytime_core.weighting.base import LossWeighting, require
from anytime_core.weighting.static import const, half_end, linear, sieve
from anytime_study.runs.weightings import exponential

SCHEMES = {"const": const, "linear": linear, "half_end": half_end, "sieve": sieve, "exponential": exponential}


class Sampled(LossWeighting):
    """B_i(t) = w_i + [i = i*(t)] · W / ρ, with static weights w, their sum W and one exit i* drawn for every step.

    i* is the last exit in the first step, and is drawn anew after each one. With the default ρ = 2 the drawn exit has a
    third of all weight on top of its static share. With ρ ≤ 0 it is trained alone: B_i(t) = [i = i*(t)] · W.

    Source: earlier versions of the AdaLoss paper (arXiv 1708.06832 v2), as in the authors' code.

    The draw is a function of the seed and the number of the step (the SplitMix64 generator of Steele, Lea and Flood
    2014, which gives its t-th number without the ones before). So all state is the step; a run that is resumed goes on
    bit for bit, on another kind of device too, and all processes of a distributed run draw the same exit.

    Args:
        num_exits: K.
        scheme: w, a static weighting by name.
        draw: ``"static"``: P(i* = i) = w_i / W. ``"uniform"``: 1 / K.
        rho: ρ, the static mass over the extra; 0 or less trains the drawn exit alone.
        seed: Of the draws, 0 or more and below 2^63.

    Attributes:
        step: int64, training steps taken.

    Raises:
        ValueError: an option outside its range, or K is below 1.
    """

    step: Tensor
    _rows: Tensor
    _bounds: Tensor

    def __init__(
        self,
        num_exits: int,
        *,
        scheme: Literal["const", "linear", "half_end", "sieve", "exponential"] = "sieve",
        draw: Literal["static", "uniform"] = "static",
        rho: float = 2.0,
        seed: int = 0,
    ) -> None:
        require(scheme in SCHEMES, "Sampled scheme", f"one of {', '.join(SCHEMES)}", scheme)
        require(draw in ("static", "uniform"), "Sampled draw", "static or uniform", draw)
        sensible = math.isfinite(rho) and (rho <= 0 or rho >= 1e-6)  # far beyond use, and W / ρ is far from overflow
        require(sensible, "Sampled rho", "a number of 1e-6 or more, or of 0 or less", rho)
        require(0 <= seed < 2**63, "Sampled seed", "0 or more and below 2^63", seed)
        static = SCHEMES[scheme](num_exits).weights
        chosen, total = torch.eye(num_exits), static.sum()
        rows = static + chosen * total / rho if rho > 0 else chosen * total  # [K, K]: B when the exit of a row is drawn
        super().__init__(rows[-1].clone())
        self.scheme = scheme
        self.draw = draw
        self.rho = rho
        self.seed = seed
        bounds = (static if draw == "static" else torch.ones_like(static)).cumsum(0)
        self.register_buffer("_rows", rows, persistent=False)  # both are given by the options
        self.register_buffer("_bounds", bounds / bounds[-1], persistent=False)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def update(self, losses: Tensor) -> None:  # noqa: ARG002 (draws ignore the losses)
        """Draw the exit of the next step."""
        self.step += 1
        uniform = ((splitmix64(self.seed, self.step) >> 40) & 0xFFFFFF).float() / 2**24  # in [0, 1)
        # exit i + 1 is drawn between bounds i and i + 1; the last bound is 1, which no draw reaches
        drawn = (self._bounds <= uniform).sum()
        self.weights.copy_(self._rows.index_select(0, drawn.view(1)).view(-1))

    def reset(self) -> None:
        """Go back to the first step."""
        super().reset()
        self.step.zero_()
        self.weights.copy_(self._rows[-1])


def splitmix64(seed: int, step: Tensor) -> Tensor:
    """The ``step``-th number, counted from 1, that the SplitMix64 generator started at ``seed`` gives.

    ``step`` is int64 of any shape, and so is the result: 64 bits, read as a signed number. Products wrap around.
    """
    # the generator's constants, read as signed numbers
    bits = seed + step * (0x9E3779B97F4A7C15 - 2**64)
    bits = (bits ^ _shifted(bits, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    bits = (bits ^ _shifted(bits, 27)) * (0x94D049BB133111EB - 2**64)
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Shift right and fill with zeros; ``>>`` alone would fill with the sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
