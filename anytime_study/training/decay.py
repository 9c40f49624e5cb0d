"""Which parameters decay, and how much."""

from __future__ import annotations

from typing import Any

from torch import nn

from anytime_core.networks.base import AnytimeNetwork
from anytime_core.weighting.static import sieve
from anytime_study.runs.config import HeadDecay


def decay_groups(net: AnytimeNetwork, weight_decay: float, heads: HeadDecay = "same") -> list[dict[str, Any]]:
    """Parameter groups for an optimiser. All decay but those of batch norms.

    Args:
        net: The network.
        weight_decay: Of all that decays.
        heads: ``"same"``: heads decay as all else. ``"sieve"``: the linear layer of exit i, weight and bias, decays by
            w_i times as much, with w the static weights of SIEVE: early heads hardly decay.

    Source: the authors' released code. There, "sieve" goes along with AdaLoss and "same" with CONST; here any weighting
    can have either.
    """
    norms = {id(p) for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) for p in m.parameters()}
    factors: dict[int, float] = {}  # of parameters that do not simply decay
    if heads == "sieve":
        for head, factor in zip(net.heads, sieve(net.num_exits).weights.tolist(), strict=True):
            linear = (module for module in head.modules() if isinstance(module, nn.Linear))
            factors.update((id(p), factor) for module in linear for p in module.parameters())
    whole = [p for p in net.parameters() if id(p) not in norms and id(p) not in factors]
    groups: list[dict[str, Any]] = [
        {"params": whole, "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if id(p) in norms], "weight_decay": 0.0},
    ]
    for factor in sorted(set(factors.values())):
        params = [p for p in net.parameters() if factors.get(id(p)) == factor]
        groups.append({"params": params, "weight_decay": factor * weight_decay})
    return groups
