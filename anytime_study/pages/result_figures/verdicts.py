"""All verdicts of the ledger in one figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure


def verdict_plot(table: pd.DataFrame) -> Figure:
    """How far each claim's measure is from its threshold, in half widths of its interval; claims from top to bottom.

    Args:
        table: A row per claim and protocol, with the columns ``claim``, ``protocol``, ``score`` (the mean's distance
            from the threshold on the claimed side over half the interval's width: 1 means that the interval ends at the
            threshold) and ``verdict``.
    """
    order = list(dict.fromkeys(table["claim"]))
    palette = sns.color_palette("colorblind")
    colours = {
        "same direction on ours": palette[2],
        "replicated on the paper's data": palette[2],
        "opposite": palette[3],
    }
    markers = {"one_rate": "o", "tuned_rate": "s"}
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.3 * len(order)))
    for record in table.to_dict("records"):
        place = order.index(record["claim"]) + (0.15 if record["protocol"] == "tuned_rate" else 0)
        colour = colours.get(record["verdict"], palette[7])
        axes.plot(record["score"], place, marker=markers[record["protocol"]], color=colour, linestyle="none")
    axes.axvline(0, color="0.4", linewidth=1)
    axes.axvspan(-1, 1, color="0.92", zorder=0)
    axes.set(
        yticks=range(len(order)),
        yticklabels=order,
        xscale="symlog",
        xlabel="distance in half intervals",
    )
    axes.set_ylim(len(order) - 0.5, -0.5)
    return figure
