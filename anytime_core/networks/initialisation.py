"""How the weights of every network here start."""

from __future__ import annotations

import math

from torch import nn

# A normal distribution cut at two standard deviations keeps this share of its standard deviation.
_TRUNCATED_STD = 0.8796256610342398


def he_initialise(module: nn.Module) -> None:
    """He fan-in, truncated normal, for a convolution or linear layer; biases 0. Batch norm is left at 1 and 0.

    For ``net.apply``. The weights get standard deviation √(2 / fan-in) after they are cut at two of the uncut ones.

    Source: He et al. 2015; truncated normal and fan-in as in the released code of Hu et al. 2019.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        fan_in = module.weight[0].numel()
        std = math.sqrt(2 / fan_in) / _TRUNCATED_STD
        nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
