"""Reports as tables and sentences of the two chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from anytime_study.analysis.curves import Steps
from anytime_study.pages.figures import label
from anytime_study.pages.publishing import ORIGIN_BEGINS, ORIGIN_ENDS
from anytime_study.pages.words import number
from benchmarks.report import Comparison, Ratio, Report, Row, Trial

WEIGHTING_LIMIT = 1.02  # step time over CONST's
PRICE_LIMIT = 1.05  # of predict(exit=k) over a network that is cut at k
LATE_LIMIT, STEP_LIMIT = 0.01, 0.001  # shares of late answers: at all when idle, by more than a step under load
JUDGED = ("adaloss", "linear", "half_end", "sieve", "exponential", "opt")
CONTROL = "const, a second run"


def header(report: Report) -> str:
    """The hardware, as a sentence."""
    device = report.device
    cores = "one core" if device.cores == 1 else f"{number(device.cores)} cores"
    where = f" with {cores}" if device.kind == "cpu" else f", beside {device.cpu}"
    features = f" ({', '.join(device.features)})" if device.features else ""
    trial = " **A quick trial of the machinery: these numbers mean nothing.**" if report.quick else ""
    return f"Measured on **{device.name}**{where}{features}.{trial}"


def comparison_table(comparison: Comparison, *, digits: int = 2) -> pd.DataFrame:
    """A row per contender: median, quartiles, ratio to the baseline, number of pairs; three digits of the largest."""
    largest = max(contender.value.median for contender in comparison.contenders)
    decimals = max(0, 2 - int(np.floor(np.log10(largest))))
    rows = [
        {
            "measured": label(contender.name),
            f"median ({comparison.unit})": f"{contender.value.median:.{decimals}f}",
            "quartiles": f"{contender.value.q1:.{decimals}f} to {contender.value.q3:.{decimals}f}",
            f"ratio to {label(comparison.baseline)}": bracketed(contender.ratio, digits) if contender.ratio else "1",
            "pairs": str(contender.ratio.n) if contender.ratio else "",
        }
        for contender in comparison.contenders
    ]
    return pd.DataFrame(rows)


def bracketed(ratio: Ratio, digits: int = 2) -> str:
    """A ratio and the interval of its median, as text."""
    return f"{ratio.median:.{digits}f} [{ratio.low:.{digits}f},\N{NO-BREAK SPACE}{ratio.high:.{digits}f}]"


def weighting_sentence(row: Row) -> str:
    """What AdaLoss and the static weightings cost, judged at ``WEIGHTING_LIMIT`` by the whole interval."""
    ratios = row.comparisons["losses"].ratios
    judged = {label(name).replace(", ", " of the "): ratio for name, ratio in ratios.items() if name in JUDGED}
    limit = f"{100 * (WEIGHTING_LIMIT - 1):.0f} %"
    within = [name for name, ratio in judged.items() if ratio.high < WEIGHTING_LIMIT]
    beyond = [name for name, ratio in judged.items() if ratio.low > WEIGHTING_LIMIT]
    undecided = [name for name in judged if name not in within + beyond]
    parts = [
        f"{listed(names)} {'adds' if len(names) == 1 else 'add'} {verb} {limit}"
        for names, verb in ((within, "less than"), (beyond, "more than"))
        if names
    ]
    if undecided:
        parts.append(f"for {listed(undecided)} the interval holds {limit}, so this is undecided")
    return f"{'; '.join(parts)}. A second run of CONST itself differs by {_percent(ratios[CONTROL])}."


def exits_sentence(row: Row) -> str:
    """What all exits cost against the last alone, in time and in multiply-adds."""
    (ratio,) = row.comparisons["training"].ratios.values()
    return (
        f"All exits together add {100 * (row.facts['macs_all_over_last'] - 1):.2g} % multiply-adds, but a training "
        f"step takes {ratio.median:.2f} times as long as with the last exit alone (interval {ratio.low:.2f} to "
        f"{ratio.high:.2f})."
    )


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: ``"A"``, ``"A and B"``, ``"A, B and C"``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _percent(ratio: Ratio) -> str:
    return f"{_signed(ratio.median)} (interval {_signed(ratio.low)} to {_signed(ratio.high)})"


def _signed(ratio: float, digits: int = 1) -> str:
    return f"{100 * (ratio - 1):+.{digits}f} %".replace("-", "−")


# --- deadlines -----------------------------------------------------------------------------------------------------


def stopping_table(row: Row) -> pd.DataFrame:
    """A row per exit: ms of the cut network, and both ratios to it."""
    return pd.DataFrame(
        [
            {
                "exit": number,
                f"{comparison.baseline} (ms)": comparison.contenders[0].value.median,
                **{f"{name}, ratio": bracketed(ratio, 3) for name, ratio in comparison.ratios.items()},
            }
            for number, comparison in enumerate(row.comparisons.values(), start=1)
        ]
    )


def stopping_sentence(row: Row) -> str:
    """The price of both ways to stop, against the limit."""
    ratios = [comparison.ratios.values() for comparison in row.comparisons.values()]
    predict, refine = ([100 * (ratio.median - 1) for ratio in way] for way in zip(*ratios, strict=True))
    within = sum(price <= 100 * (PRICE_LIMIT - 1) for price in predict)
    all_within = "at every exit" if within == len(predict) else f"at {within} of {len(predict)} exits"
    return (
        f"Asking for one exit (`predict`) takes {min(predict):.1f} to {max(predict):.1f} % longer than a network that "
        f"ends there and cannot stop. We had allowed {100 * (PRICE_LIMIT - 1):.0f} %, and this held {all_within}. "
        f"Streaming every answer on the way (`refine`) takes {min(refine):.0f} to {max(refine):.0f} % longer."
    )


def trial_table(trials: Mapping[str, Trial]) -> pd.DataFrame:
    """A row per trial: what ran beside, and how many answers were late."""
    return pd.DataFrame(
        [
            {
                "other work": trial.load,
                "latency table": "yes" if trial.table else "no",
                "late (%)": percent(trial.late, trial.count),
                "late by more than a step (%)": percent(trial.late_by_step, trial.count),
            }
            for trial in trials.values()
        ]
    )


def late_sentences(trials: Mapping[str, Trial]) -> str:
    """The two predictions about late answers, judged."""
    idle, busy = trials["table, idle"], trials["table, one core busy"]
    return (
        f"- *Idle, fewer than {100 * LATE_LIMIT:g} % of the answers are late*: {_share(idle.late, idle.count)} "
        f"{kept(idle.late, idle.count, LATE_LIMIT)}\n"
        f"- *With one core busy, fewer than {100 * STEP_LIMIT:g} % are late by more than a step*: "
        f"{_share(busy.late_by_step, busy.count)} {kept(busy.late_by_step, busy.count, STEP_LIMIT)}"
    )


def _share(count: int, total: int) -> str:
    low, high = interval_of_share(count, total)
    verb = "was" if count == 1 else "were"
    return f"{100 * count / total:.2g} % {verb} (95 % interval {100 * low:.2g} to {100 * high:.2g} %)."


def interval_of_share(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a share, by Wilson."""
    found = binomtest(count, total).proportion_ci(method="wilson")
    return found.low, found.high


def percent(count: int, total: int) -> str:
    """A share in per cent with its interval."""
    low, high = interval_of_share(count, total)
    return f"{100 * count / total:.2g} [{100 * low:.2g},\N{NO-BREAK SPACE}{100 * high:.2g}]"


def kept(count: int, total: int, limit: float) -> str:
    """Whether a share is below a limit, as its whole interval tells."""
    low, high = interval_of_share(count, total)
    if high < limit:
        return "This held."
    return "This did not hold." if low > limit else "We cannot tell whether this held."


def expected_errors(trial: Trial, steps_of_seeds: Mapping[int, Steps], exit_costs: Sequence[float]) -> pd.DataFrame:
    """Test error that trained runs of the same network would have had in a trial: its times, their errors.

    ``exit_costs`` are cumulative, [K]. A row per seed and bin: ``seed``, ``deadline_ms`` (middle), ``error`` (0 to 1).
    """
    rows = []
    for seed, steps in steps_of_seeds.items():
        errors = steps.at(exit_costs)  # [K]; an exit that is not adopted has the answer before it
        for part in trial.bins:
            middle = 500 * (part.low_s + part.high_s)
            rows.append((seed, middle, float(np.average(errors, weights=part.exits))))
    return pd.DataFrame(rows, columns=["seed", "deadline_ms", "error"])


def speed_sentence(row: Row) -> str:
    """What early exit saves on the clock."""
    (ratio,) = row.comparisons["speed"].ratios.values()
    macs = 100 * (1 - row.facts["macs_early_over_last"])
    return (
        f"We timed one of these networks, that of the figure, on part of the test images. With {abs(macs):.2g} % "
        f"{'fewer' if macs > 0 else 'more'} multiply-adds than if all images went to the last exit, it took "
        f"{ratio.median:.2f} times as long (95 % interval {ratio.low:.2f} to {ratio.high:.2f})."
    )


def calibration_sentence(row: Row) -> str:
    """By how much confidence is off at the first and the last exit, before and after a temperature."""
    before, after = (
        [100 * row.tables["calibration"][f"ece_{when}"][exit] for exit in (0, -1)] for when in ("before", "after")
    )
    return (
        f"The first exit's confidence is off by {before[0]:.1f} percentage points on average, and by {after[0]:.1f} "
        f"with its temperature; the last exit's by {before[1]:.1f} and {after[1]:.1f}."
    )


def changes_sentence(row: Row) -> str:
    """How often more compute is worse."""
    facts = row.facts
    return (
        f"Of {facts['images']:,.0f} test images, {100 * facts['overthinking']:.1f} % are wrong at the last exit "
        f"although an earlier exit was right, and {100 * facts['never_right']:.1f} % are wrong at every exit."
    )


def origin(report: Report, rows: Sequence[str]) -> str:
    """How these rows were measured, in a fold that goes to the end of the page."""
    table = [["row", "setting", "commit", "PyTorch", "threads", "seconds"], ["---"] * 6]
    table += [
        [
            name,
            row.setting,
            (row.made.commit or "unknown")[:7],
            row.made.torch,
            str(row.made.threads),
            f"{row.seconds:.0f}",
        ]
        for name, row in report.rows.items()
        if name in rows
    ]
    return "\n".join([ORIGIN_BEGINS, "", *(f"| {' | '.join(line)} |" for line in table), "", ORIGIN_ENDS])
