"""A report of deadlines as tables and sentences of a page. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from anytime_study.analysis.curves import Steps
from anytime_study.analysis.statistics import mean_interval
from benchmarks.deadlines.report import Confidence, DeadlineReport, Exits, Trial
from benchmarks.page_tables import bracketed

LATE_LIMIT, STEP_LIMIT = 0.01, 0.001  # shares of late answers: at all when idle, by more than a step under load
PRICE_LIMIT = 1.05  # of predict(exit=k) over a network that is cut at k


def interval_of_share(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a share, by Wilson."""
    found = binomtest(count, total).proportion_ci(method="wilson")
    return found.low, found.high


def trial_table(trials: Mapping[str, Trial]) -> pd.DataFrame:
    """A row per trial: what ran beside, how many answers were late, and by how much."""
    rows = []
    for trial in trials.values():
        late = trial.lateness_s
        rows.append(
            {
                "other work": trial.load + (", the predictor goes first" if trial.first else ""),
                "latency table": "yes" if trial.table else "no",
                "deadlines (ms)": f"{1000 * trial.bins[0].low_s:.2f} to {1000 * trial.bins[-1].high_s:.2f}",
                "calls": trial.count,
                "late (%)": percent(trial.late, trial.count),
                "late by more than a step (%)": percent(trial.late_by_step, trial.count),
                "late by: median / 90 % / most (ms)": ""
                if late is None
                else " / ".join(f"{1000 * t:.2f}" for t in late),
            }
        )
    return pd.DataFrame(rows)


def percent(count: int, total: int) -> str:
    """A share in per cent with its interval."""
    low, high = interval_of_share(count, total)
    return f"{100 * count / total:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def kept(count: int, total: int, limit: float) -> str:
    """Whether a share is below a limit, as its whole interval tells."""
    low, high = interval_of_share(count, total)
    if high < limit:
        return "kept"
    return "not kept" if low > limit else "neither shown to be kept nor to be broken"


def accuracy_table(trial: Trial) -> pd.DataFrame:
    """By bin of deadlines: middle (ms), accuracy (from 0 to 1) with its interval, mean exit."""
    rows = []
    for part in trial.bins:
        if part.correct is None:
            raise ValueError("trial: expected one of a trained network")
        low, high = interval_of_share(part.correct, part.count)
        exits = np.arange(1, len(part.exits) + 1)
        rows.append(
            {
                "deadline_ms": 500 * (part.low_s + part.high_s),
                "accuracy": part.correct / part.count,
                "low": low,
                "high": high,
                "mean_exit": float(np.average(exits, weights=part.exits)),
            }
        )
    return pd.DataFrame(rows)


def expected_errors(trial: Trial, steps_of_seeds: Mapping[int, Steps], exit_costs: Sequence[float]) -> pd.DataFrame:
    """Test error that other runs of the same network would have had in a trial: its times, their errors.

    Args:
        trial: Of the network, trained or not: weights do not change a time.
        steps_of_seeds: By seed, the error of the answer at each cumulative cost.
        exit_costs: Cumulative cost of each exit, [K], in the same unit.

    Returns:
        A row per seed and bin: ``seed``, ``deadline_ms`` (middle), ``error`` (from 0 to 1).
    """
    rows = []
    for seed, steps in steps_of_seeds.items():
        errors = steps.at(exit_costs)  # [K]; an exit that is not adopted has the answer before it
        for part in trial.bins:
            middle = 500 * (part.low_s + part.high_s)
            rows.append((seed, middle, float(np.average(errors, weights=part.exits))))
    return pd.DataFrame(rows, columns=["seed", "deadline_ms", "error"])


def exits_table(exits: Exits) -> pd.DataFrame:
    """A row per exit: ms of the cut network, and both ratios to it."""
    rows = []
    for number, comparison in enumerate(exits.comparisons, start=1):
        cut, *others = comparison.contenders
        row: dict[str, object] = {"exit": number, f"{cut.name} (ms)": cut.value.median}
        row |= {f"{other.name}, ratio": bracketed(other.ratio, digits=3) for other in others if other.ratio}
        rows.append(row)
    return pd.DataFrame(rows)


def exits_sentences(exits: Exits) -> str:
    """The price of both ways, against the limit."""
    predict, refine = ([comparison.contenders[place].ratio for comparison in exits.comparisons] for place in (1, 2))
    medians = [ratio.median for ratio in predict if ratio]
    within = sum(median <= PRICE_LIMIT for median in medians)
    streamed = [ratio.median for ratio in refine if ratio]
    return (
        f"`predict(exit=k)` takes {min(medians):.3f} to {max(medians):.3f} times as long as a network that is cut at "
        f"exit k; at {within} of {len(medians)} exits the median is within {100 * (PRICE_LIMIT - 1):.0f} % of it. "
        f"Streaming all answers up to exit k takes {min(streamed):.2f} to {max(streamed):.2f} times as long."
    )


def late_sentences(trials: Mapping[str, Trial]) -> str:
    """The two rules about late answers, judged."""
    idle, busy = trials["table, idle"], trials["table, one core busy"]
    text = (
        f"- **Idle, with a latency table, late at all below {100 * LATE_LIMIT:g} %:** "
        f"{percent(idle.late, idle.count)} % of {idle.count} answers were late: "
        f"{kept(idle.late, idle.count, LATE_LIMIT)}.\n"
        f"- **One core busy, late by more than a step below {100 * STEP_LIMIT:g} %:** "
        f"{percent(busy.late_by_step, busy.count)} % of {busy.count} answers were: "
        f"{kept(busy.late_by_step, busy.count, STEP_LIMIT)}. A step is {1000 * busy.step_s:.2f} ms here: the longest "
        "segment with its head."
    )
    if first := trials.get("table, one core busy, first"):
        text += (
            f"\n- **The same, with a priority above all other work:** {percent(first.late_by_step, first.count)} % of "
            f"{first.count}: {kept(first.late_by_step, first.count, STEP_LIMIT)}."
        )
    return text


def calibration_rows(confidence: Confidence) -> pd.DataFrame:
    """A row per exit: temperature, expected calibration error (per cent) before and after."""
    return pd.DataFrame(
        [
            {
                "exit": number,
                "temperature": each.temperature,
                "calibration error before (%)": 100 * each.ece_before,
                "after (%)": 100 * each.ece_after,
                "log loss before (nats)": each.nll_before,
                "after (nats)": each.nll_after,
            }
            for number, each in enumerate(confidence.calibration, start=1)
        ]
    )


def changes_sentences(confidence: Confidence) -> str:
    """How often more compute is worse."""
    changes = confidence.changes
    return (
        f"Of {confidence.images} test images, {100 * changes.ever_right_to_wrong:.1f} % lose a right answer from some "
        f"exit to the next. {100 * changes.overthinking:.1f} % are wrong at the last exit although an earlier one was "
        f"right: more than a perfect rule would need. {100 * changes.never_right:.1f} % are wrong at every exit."
    )


def speed_sentence(confidence: Confidence) -> str:
    """What early exit saves on the clock."""
    last, early = confidence.speed.contenders
    ratio = bracketed(early.ratio) if early.ratio else "unknown"
    return (
        f"On the clock, over {confidence.speed.name}: {early.value.median:.2f} s with early exit against "
        f"{last.value.median:.2f} s to the last exit for all, a ratio of {ratio}. "
        f"These images need {early.facts['macs_ratio']:.2f} of the multiply-adds."
    )


def mean_curve(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds with its 95 % interval, by ``deadline_ms``; columns error, low, high."""
    rows = []
    for deadline, values in table.groupby("deadline_ms")["error"]:
        interval = mean_interval(values)
        rows.append((deadline, interval.mean, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["deadline_ms", "error", "low", "high"])


def made_lines(report: DeadlineReport) -> str:
    """Device and circumstances of each part, in Markdown."""
    lines = [f"Measured on **{report.device.name}**, {report.device.cores} cores."]
    for name in ("exits", "trials", "confidence"):
        part = getattr(report, name)
        if part is not None:
            load = "unknown" if part.made.load_average is None else f"{part.made.load_average:.2f}"
            lines.append(
                f"- {name}: {part.made.setting}; {part.made.threads} thread, load at the start {load}, "
                f"torch {part.made.torch}, commit {(part.made.commit or 'unknown')[:7]}"
                f"{' with changes' if part.made.dirty else ''}"
            )
    lines += ["", "The load is the system's mean over the minute before. It falls slowly after other work has ended."]
    return "\n".join(lines)
