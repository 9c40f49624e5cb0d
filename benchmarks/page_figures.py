"""Pictures of result files. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.page_tables import NOT_MEASURED, found, named
from benchmarks.results import Report


def ratios_figure(reports: Sequence[Report], row: str, key: str, *, limit: float | None = None) -> Figure:
    """Median ratio and its interval for each contender, a panel per device; the baseline is the line at 1.

    Args:
        reports: Of the devices.
        row: Name of the benchmark.
        key: Name of the comparison.
        limit: A second line, dashed.
    """
    panels = found(reports, row, key)
    if not panels:
        return _empty()
    most = max(len(comparison.contenders) for _, comparison in panels)
    figure, axes = plt.subplots(
        len(panels), squeeze=False, sharex=True, figsize=(7.5, len(panels) * (1.2 + 0.3 * most))
    )
    for panel, (report, comparison) in zip(axes[:, 0], panels, strict=True):
        compared = [(named(c.name), c.ratio) for c in reversed(comparison.contenders) if c.ratio is not None]
        for place, (_, ratio) in enumerate(compared):
            panel.plot([ratio.low, ratio.high], [place, place], color="C0", linewidth=2)
            panel.plot(ratio.median, place, "o", color="C0")
        panel.set_yticks(range(len(compared)), [name for name, _ in compared])
        panel.axvline(1, color="0.4", linewidth=1)
        if limit is not None:
            panel.axvline(limit, color="0.4", linewidth=1, linestyle="--")
        panel.set(title=report.device.name, xlabel=f"{comparison.unit}, ratio to {named(comparison.baseline)}")
    return figure


def streaming_figure(reports: Sequence[Report]) -> Figure:
    """Milliseconds to each exit, streamed and cut, a panel per device."""
    panels = [report for report in reports if "streaming" in report.rows]
    if not panels:
        return _empty()
    figure, axes = plt.subplots(1, len(panels), squeeze=False, figsize=(max(5.5, 4 * len(panels)), 3.6))
    for panel, report in zip(axes[0], panels, strict=True):
        comparisons = list(report.rows["streaming"].comparisons.values())
        for place, marker, dashes in ((0, "o", "-"), (1, "s", "--")):
            each = [comparison.contenders[place] for comparison in comparisons]
            numbers = range(1, len(each) + 1)
            panel.plot(numbers, [c.value.median for c in each], marker=marker, linestyle=dashes, label=each[0].name)
        panel.set(title=report.device.name, xlabel="exit", ylabel="ms for one image")
        panel.set_ylim(bottom=0)
        panel.legend()
    return figure


def _empty() -> Figure:
    figure, axes = plt.subplots(figsize=(4, 0.8))
    axes.set_axis_off()
    axes.text(0.5, 0.5, NOT_MEASURED, ha="center")
    return figure
