"""Reports as tables and sentences of the two chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from anytime_study.analysis.curves import Steps
from anytime_study.pages.figures import label
from benchmarks.report import Comparison, Ratio, Report, Row, Trial, load_report

WEIGHTING_LIMIT = 1.02  # step time over CONST's
PRICE_LIMIT = 1.05  # of predict(exit=k) over a network that is cut at k
LATE_LIMIT, STEP_LIMIT = 0.01, 0.001  # shares of late answers: at all when idle, by more than a step under load
JUDGED = ("adaloss", "linear", "half_end", "sieve", "exponential", "opt")
CONTROL = "const, a second run"


def header(report: Report) -> str:
    """The hardware, as a sentence."""
    device = report.device
    where = f"{device.cores} cores" if device.kind == "cpu" else f"beside {device.cpu}"
    trial = " **A quick trial of the machinery: these numbers mean nothing.**" if report.quick else ""
    return f"Measured on **{', '.join([device.name, where, *device.features])}**.{trial}"


def gpu_sentence(folder: Path) -> str:
    """Whether any report of a folder was made on a GPU."""
    devices = [load_report(path).device for path in sorted(folder.glob("*.json"))]
    names = [device.name for device in devices if device.kind == "cuda"]
    if names:
        return f"There are reports of these GPUs: {', '.join(names)}."
    return (
        "**Nothing has run on a GPU yet.** `python -m benchmarks --device cuda` makes the same report there, with a "
        "row about CUDA graphs; until somebody has run it, nothing on this page says how fast a GPU is."
    )


def made_table(report: Report, rows: Sequence[str] = ()) -> pd.DataFrame:
    """A row per benchmark: setting, versions, load of the machine when it began, duration."""
    return pd.DataFrame(
        [
            {
                "benchmark": name.replace("_", " "),
                "setting": row.setting,
                "commit": (row.made.commit or "unknown")[:10] + (" + changes" if row.made.dirty else ""),
                "PyTorch": row.made.torch,
                "Python": row.made.python,
                "threads": row.made.threads,
                "load at the start": "unknown" if row.load_average is None else f"{row.load_average:.2f}",
                "took (s)": f"{row.seconds:.0f}",
            }
            for name, row in report.rows.items()
            if name in rows or not rows
        ]
    )


def comparison_table(comparison: Comparison, *, digits: int = 2) -> pd.DataFrame:
    """A row per contender: median, quartiles, ratio to the baseline, number of pairs."""
    rows = [
        {
            "measured": label(contender.name),
            f"median ({comparison.unit})": contender.value.median,
            "quartiles": f"{contender.value.q1:.{digits}f} to {contender.value.q3:.{digits}f}",
            f"ratio to {label(comparison.baseline)}": bracketed(contender.ratio, digits) if contender.ratio else "1",
            "pairs": str(contender.ratio.n) if contender.ratio else "",
        }
        for contender in comparison.contenders
    ]
    return pd.DataFrame(rows)


def bracketed(ratio: Ratio, digits: int = 2) -> str:
    """A ratio and the interval of its median, as text."""
    return f"{ratio.median:.{digits}f} [{ratio.low:.{digits}f}, {ratio.high:.{digits}f}]"


def training_sentence(row: Row) -> str:
    """How much faster the package trains than the better plain loop."""
    comparison = row.comparisons["plain_loop"]
    package = {name: ratio for name, ratio in comparison.ratios.items() if name.startswith("package")}
    told = " and ".join(f"{bracketed(ratio)} times as fast with the {name}" for name, ratio in package.items())
    faster = min(ratio.low for ratio in package.values()) > 1
    return (
        f"Training is {told} as with the better plain loop ({comparison.baseline.removeprefix('plain loop, ')}): "
        f"{'faster throughout' if faster else 'not faster beyond doubt'}."
    )


def weighting_sentence(row: Row) -> str:
    """What AdaLoss and the static weightings cost, judged at ``WEIGHTING_LIMIT`` by the whole interval."""
    ratios = row.comparisons["losses"].ratios
    parts = []
    for name, ratio in ratios.items():
        if name not in JUDGED:
            continue
        verdict = "within the limit" if ratio.high < WEIGHTING_LIMIT else "undecided"
        verdict = "beyond the limit" if ratio.low > WEIGHTING_LIMIT else verdict
        parts.append(f"{label(name)} costs {_percent(ratio)} ({verdict})")
    return (
        f"Time of a training step beyond CONST's, limit {_signed(WEIGHTING_LIMIT)}: {'; '.join(parts)}. "
        f"A second run of CONST itself differs by {_percent(ratios[CONTROL])}."
    )


def exits_sentence(row: Row) -> str:
    """What all exits cost against the last alone, in time and in multiply-adds."""
    (ratio,) = row.comparisons["training"].ratios.values()
    macs = _signed(row.facts["macs_all_over_last"], 2)
    return (
        f"With all exits, a training step takes {bracketed(ratio)} times as long as with the last one alone; in "
        f"multiply-adds they cost {macs}."
    )


def _percent(ratio: Ratio) -> str:
    return f"{_signed(ratio.median)} [{_signed(ratio.low)}, {_signed(ratio.high)}]"


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
    predict, refine = ([ratio.median for ratio in way] for way in zip(*ratios, strict=True))
    within = sum(median <= PRICE_LIMIT for median in predict)
    return (
        f"`predict(exit=k)` takes {min(predict):.3f} to {max(predict):.3f} times as long as a network that is cut at "
        f"exit k; at {within} of {len(predict)} exits the median is within {100 * (PRICE_LIMIT - 1):.0f} % of it. "
        f"Streaming all answers up to exit k takes {min(refine):.2f} to {max(refine):.2f} times as long."
    )


def trial_table(trials: Mapping[str, Trial]) -> pd.DataFrame:
    """A row per trial: what ran beside, how many answers were late, and by how much."""
    return pd.DataFrame(
        [
            {
                "other work": trial.load,
                "latency table": "yes" if trial.table else "no",
                "deadlines (ms)": f"{1000 * trial.bins[0].low_s:.2f} to {1000 * trial.bins[-1].high_s:.2f}",
                "calls": trial.count,
                "late (%)": percent(trial.late, trial.count),
                "late by more than a step (%)": percent(trial.late_by_step, trial.count),
                "late by: median / 90 % / most (ms)": " / ".join(f"{1000 * t:.2f}" for t in trial.lateness_s or ()),
            }
            for trial in trials.values()
        ]
    )


def late_sentences(trials: Mapping[str, Trial]) -> str:
    """The two rules about late answers, judged."""
    idle, busy = trials["table, idle"], trials["table, one core busy"]
    return (
        f"- **Idle, with a latency table, late at all below {100 * LATE_LIMIT:g} %:** "
        f"{percent(idle.late, idle.count)} % of {idle.count} answers were late: "
        f"{kept(idle.late, idle.count, LATE_LIMIT)}.\n"
        f"- **One core busy, late by more than a step below {100 * STEP_LIMIT:g} %:** "
        f"{percent(busy.late_by_step, busy.count)} % of {busy.count} answers were: "
        f"{kept(busy.late_by_step, busy.count, STEP_LIMIT)}. A step is {1000 * busy.step_s:.2f} ms here: the longest "
        "segment with its head."
    )


def interval_of_share(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a share, by Wilson."""
    found = binomtest(count, total).proportion_ci(method="wilson")
    return found.low, found.high


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
    last, early = row.comparisons["speed"].contenders
    (ratio,) = row.comparisons["speed"].ratios.values()
    return (
        f"On the clock, over {row.comparisons['speed'].name}: {early.value.median:.2f} s with early exit against "
        f"{last.value.median:.2f} s to the last exit for all, a ratio of {bracketed(ratio)}. "
        f"These images need {row.facts['macs_early_over_last']:.2f} of the multiply-adds."
    )


def calibration_table(row: Row) -> pd.DataFrame:
    """A row per exit: temperature, expected calibration error and log loss before and after."""
    table = pd.DataFrame(row.tables["calibration"])
    return pd.DataFrame(
        {
            "exit": range(1, len(table) + 1),
            "temperature": table["temperature"],
            "calibration error before (%)": 100 * table["ece_before"],
            "after (%)": 100 * table["ece_after"],
            "log loss before (nats)": table["nll_before"],
            "after (nats)": table["nll_after"],
        }
    )


def changes_sentence(row: Row) -> str:
    """How often more compute is worse."""
    facts = row.facts
    return (
        f"Of {facts['images']:.0f} test images, {100 * facts['ever_right_to_wrong']:.1f} % lose a right answer from "
        f"some exit to the next. {100 * facts['overthinking']:.1f} % are wrong at the last exit although an earlier "
        f"one was right: more than a perfect rule would need. {100 * facts['never_right']:.1f} % are wrong at every "
        "exit."
    )
