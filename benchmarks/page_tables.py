"""Result files as tables and sentences of a page. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from anytime_study.pages.figures import label
from anytime_study.runs.registries import WEIGHTINGS
from benchmarks.results import Comparison, Ratio, Report, Row

NOT_MEASURED = "Not measured."
LIMIT = 1.02  # what a weighting of losses may cost: step time over CONST's
STATIC = [name for name, where in WEIGHTINGS.entries.items() if ".static:" in where and name != "const"]


def found(reports: Sequence[Report], row: str, key: str) -> list[tuple[Report, Comparison]]:
    """One comparison of all devices that have it."""
    return [
        (report, report.rows[row].comparisons[key])
        for report in reports
        if row in report.rows and key in report.rows[row].comparisons
    ]


def bracketed(ratio: Ratio, *, digits: int = 2) -> str:
    """A ratio and the interval of its median, as text."""
    return f"{ratio.median:.{digits}f} [{ratio.low:.{digits}f}, {ratio.high:.{digits}f}]"


def named(contender: str) -> str:
    """A weighting as the book writes it; other names as they are."""
    return label(contender) if contender.partition("(")[0] in WEIGHTINGS.entries else contender


def comparison_table(reports: Sequence[Report], row: str, key: str, *, digits: int = 2) -> pd.DataFrame:
    """A row per device and contender: median, quartiles, ratio to the baseline, number of pairs, further facts."""
    rows = []
    for report, comparison in found(reports, row, key):
        for contender in comparison.contenders:
            value, ratio = contender.value, contender.ratio
            rows.append(
                {
                    "device": report.device.name,
                    "measured": named(contender.name),
                    f"median ({comparison.unit})": value.median,
                    "quartiles": f"{value.q1:.{digits}f} to {value.q3:.{digits}f}",
                    f"ratio to {named(comparison.baseline)}": "1" if ratio is None else bracketed(ratio, digits=digits),
                    "pairs": "" if ratio is None else str(ratio.n),
                    **{name.replace("_per_", "/").replace("_", " "): fact for name, fact in contender.facts.items()},
                }
            )
    table = pd.DataFrame(rows) if rows else pd.DataFrame({"measured": [NOT_MEASURED]})
    table = table.astype(object).where(table.notna(), "")  # facts that not every contender has
    return table.drop(columns="device") if rows and table["device"].nunique() == 1 else table


def streaming_table(reports: Sequence[Report]) -> pd.DataFrame:
    """A row per device and exit: milliseconds of both ways to it, and their ratio."""
    rows = []
    for report in reports:
        comparisons = report.rows["streaming"].comparisons.values() if "streaming" in report.rows else []
        for number, comparison in enumerate(comparisons, start=1):
            row: dict[str, object] = {"device": report.device.name, "exit": number}
            for contender in comparison.contenders:
                row[f"{contender.name} (ms)"] = contender.value.median
                if contender.ratio is not None:
                    row["ratio"] = bracketed(contender.ratio)
            rows.append(row)
    return pd.DataFrame(rows) if rows else pd.DataFrame({"exit": [NOT_MEASURED]})


def header_text(report: Report) -> str:
    """The hardware, as a paragraph."""
    device = report.device
    where = f"{device.name}, {device.cores} cores" if device.kind == "cpu" else f"{device.name} beside {device.cpu}"
    features = ", ".join(device.features) or "none"
    trial = " **A quick trial of the machinery: these numbers mean nothing.**" if report.quick else ""
    return f"**{where}**; bfloat16 instructions of the processor: {features}.{trial}"


def made_table(reports: Sequence[Report]) -> pd.DataFrame:
    """A row per device and benchmark: versions, setting, load of the machine when it began, duration."""
    return pd.DataFrame(
        [
            {
                "device": report.device.name,
                "benchmark": name.replace("_", " "),
                "setting": row.made.setting,
                "package": row.made.package,
                "commit": _commit(row),
                "PyTorch": row.made.torch,
                "Python": row.made.python,
                "load at the start": "unknown" if row.made.load_average is None else f"{row.made.load_average:.2f}",
                "took (s)": f"{row.made.seconds:.0f}",
            }
            for report in reports
            for name, row in report.rows.items()
        ]
    )


def _commit(row: Row) -> str:
    return "unknown" if row.made.commit is None else row.made.commit[:10] + (" + changes" if row.made.dirty else "")


def training_sentences(reports: Sequence[Report]) -> str:
    """How much faster the package trains than the better plain loop, a line per device."""
    return _lines(_training(reports))


def _training(reports: Sequence[Report]) -> Iterator[str]:
    for report, comparison in found(reports, "training_rate", "plain_loop"):
        parts = [
            f"{bracketed(contender.ratio)} times as fast with the {contender.name}"
            for contender in comparison.contenders
            if contender.ratio is not None and contender.name.startswith("package")
        ]
        slowest = min(c.ratio.low for c in comparison.contenders if c.ratio and c.name.startswith("package"))
        verdict = "faster throughout" if slowest > 1 else "not faster beyond doubt"
        yield (
            f"**{report.device.name}**: training is {' and '.join(parts)} as with the better plain loop "
            f"({comparison.baseline.removeprefix('plain loop, ')}): {verdict}."
        )


def ceiling_sentences(reports: Sequence[Report]) -> str:
    """The share of a training step that is convolutions, a line per device."""
    return _lines(_ceiling(reports))


def _ceiling(reports: Sequence[Report]) -> Iterator[str]:
    for report, comparison in found(reports, "ceiling", "share"):
        facts = report.rows["ceiling"].facts
        share = next(contender.ratio for contender in comparison.contenders if contender.ratio is not None)
        yield (
            f"**{report.device.name}**: the convolutions alone take {100 * share.median:.0f} % "
            f"[{100 * share.low:.0f}, {100 * share.high:.0f}] of a training step. The step does "
            f"{facts['achieved_gmac_per_s']:.0f} billion multiply-adds per second, its convolutions alone "
            f"{facts['ceiling_gmac_per_s']:.0f}."
        )


def weighting_sentences(reports: Sequence[Report]) -> str:
    """What AdaLoss and the static weightings cost, judged at ``LIMIT``, a line per device."""
    return _lines(_weightings(reports))


def _weightings(reports: Sequence[Report]) -> Iterator[str]:
    for report, comparison in found(reports, "weightings", "losses"):
        judged = {c.name: c.ratio for c in comparison.contenders if c.ratio and c.name in ["adaloss", *STATIC]}
        control = next(c.ratio for c in comparison.contenders if c.ratio and c.name not in WEIGHTINGS.entries)
        parts = [f"{named(name)} costs {_percent(ratio)} ({_verdict(ratio)})" for name, ratio in judged.items()]
        yield (
            f"**{report.device.name}**, time of a training step beyond CONST's, limit {_signed(LIMIT)}: "
            f"{'; '.join(parts)}. A second run of CONST itself differs by {_percent(control)}."
        )


def exits_sentences(reports: Sequence[Report]) -> str:
    """What all exits cost against the last alone, in time and in multiply-adds, a line per device."""
    return _lines(_exits(reports))


def _exits(reports: Sequence[Report]) -> Iterator[str]:
    for key in ("training", "evaluation"):
        for report, comparison in found(reports, "exits", key):
            ratio = next(contender.ratio for contender in comparison.contenders if contender.ratio is not None)
            macs = report.rows["exits"].facts["macs_all_over_last"]
            yield (
                f"**{report.device.name}**: with all exits {comparison.name} takes {bracketed(ratio)} times as long as "
                f"with the last one alone; in multiply-adds they cost {_signed(macs, digits=2)}."
            )


def _verdict(ratio: Ratio) -> str:
    """Where the interval lies: a limit holds if all of it is below, and does not if all of it is above."""
    if ratio.high < LIMIT:
        return "within the limit"
    return "beyond the limit" if ratio.low > LIMIT else "undecided"


def _percent(ratio: Ratio) -> str:
    return f"{_signed(ratio.median)} [{_signed(ratio.low)}, {_signed(ratio.high)}]"


def _signed(ratio: float, *, digits: int = 1) -> str:
    return f"{100 * (ratio - 1):+.{digits}f} %".replace("-", "−")


def _lines(sentences: Iterator[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences) or NOT_MEASURED
