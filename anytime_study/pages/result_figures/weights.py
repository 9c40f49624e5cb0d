"""The weights that rules give the exits, step by step."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def weights_over_steps(weights: Mapping[str, np.ndarray]) -> Figure:
    """Weights of all exits in every step as shades, a panel per rule, on one scale.

    Args:
        weights: [steps, K] by the panel's title; 0 or more.
    """
    largest = max(float(of_rule.max()) for of_rule in weights.values())
    figure, grid = plt.subplots(
        1, len(weights), sharey=True, squeeze=False, figsize=(max(7.5, 4.6 * len(weights)), 3.2)
    )
    for axes, (title, of_rule) in zip(grid[0], weights.items(), strict=True):
        steps, exits = of_rule.shape
        # cells around whole numbers, so that step t and exit i stand at t and i
        shades = axes.pcolormesh(
            np.arange(steps + 1) + 0.5, np.arange(exits + 1) + 0.5, of_rule.T, vmin=0, vmax=largest, cmap="Greys"
        )
        axes.set(title=title, xlabel="step", yticks=range(1, exits + 1))
        axes.grid(visible=False)
    grid[0][0].set_ylabel("exit")
    figure.colorbar(shades, ax=grid[0].tolist(), label="weight")
    return figure
