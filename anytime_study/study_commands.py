"""The commands about many runs: a study, what it costs, and a weighting of one's own beside it."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Literal

import tyro

from anytime_core.errors import InputError
from anytime_study.analysis.claims import load_claims
from anytime_study.foundations.validation import validated
from anytime_study.runs.config import RunConfig
from anytime_study.runs.folders import counted
from anytime_study.runs.record import RunRecord
from anytime_study.studies.runner import run_study
from anytime_study.studies.study import RECORDS, ROOT, load_study, made
from anytime_study.training.interruption import AGAIN


def run_or_list_study(
    file: tyro.conf.Positional[Path], jobs: int = 0, records_dir: Path | None = None, minutes: float | None = None
) -> None:
    """List the runs of a study, or make those that have no record.

    Exit status 75 means that it was asked to stop, or that the minutes are over: the same command goes on from there.

    Args:
        file: A study file, such as workflow/studies/quick.yaml.
        jobs: Runs side by side; 0 only lists them.
        records_dir: Folder of the records instead of the study's own.
        minutes: Stop after this time; the runs at hand keep their state.
    """
    if minutes is not None and not minutes > 0:
        raise InputError(f"bad arguments: minutes: expected above 0, found {minutes:g}")
    found, runs = load_study(file)
    folder = found.records if records_dir is None else records_dir
    todo = [config for config in runs if made(config, folder) is None]
    if jobs == 0:
        for config in runs:
            print(f"{'to do' if config in todo else 'made':6} {config.name}")
    print(f"{found.title}: {counted(len(runs), 'run')}, {len(runs) - len(todo)} with a record")
    if jobs:
        _run(todo, folder, jobs, minutes)
        from anytime_study.summary import save_summary, study_table  # figures, for this command only

        if records := [record for config in runs if isinstance(record := made(config, folder), RunRecord)]:
            table = study_table(records)
            print(table.to_string(index=False, float_format="{:.2f}".format, na_rep=""))
            print("saved:", *save_summary(table, records, folder / file.stem))


def compare_weighting(
    weighting: tyro.conf.Positional[str],
    study: Path = ROOT / "workflow/studies/quick.yaml",
    seeds: tuple[int, ...] = (),
    jobs: int = 1,
    records_dir: Path = RECORDS / "local",
    minutes: float | None = None,
) -> None:
    """Train a weighting as a study trains CONST and AdaLoss, and set it beside their records, seed by seed.

    Runs that have a record are not made again: remove the records of a class of your own after you have changed it.

    Args:
        weighting: One of the study's names, such as adaloss(momentum=0.9), or a class of your own that derives from
            anytime_core's LossWeighting, as mymodule.MyWeighting or mymodule.MyWeighting(option=2); mymodule.py lies in
            the current folder.
        study: The study; all its runs of CONST are made with the weighting instead.
        seeds: Seeds to take of the study's; all of them if left out.
        jobs: Runs side by side.
        records_dir: Folder of the new records, and of those that the study lacks; the table and the picture go there.
        minutes: Stop after this time; the same command goes on from there.
    """
    from anytime_study.summary import REFERENCES, difference_table, save_summary  # figures, for this command only

    found, runs = load_study(study)
    chosen = [config for config in runs if not seeds or config.seed in seeds]
    constant = [config.model_dump(exclude_defaults=True) for config in chosen if config.weighting == "const"]
    if not constant:
        raise InputError(f"bad arguments: study: expected runs of const with the seeds {seeds or 'of it'}, found none")
    ours = [validated(RunConfig, {**fields, "weighting": weighting}, where="arguments") for fields in constant]
    weighting = ours[0].weighting  # in its one spelling
    others = [config for config in chosen if config.weighting in REFERENCES and config.weighting != weighting]
    outcomes = {config: made(config, found.records) or made(config, records_dir) for config in [*ours, *others]}
    todo = [config for config, outcome in outcomes.items() if outcome is None]
    beside = [f"{number} of {name}" for name, number in Counter(config.weighting for config in others).items()]
    told = f"{counted(len(ours), 'run')} of {weighting}, beside {' and '.join(beside) or 'none'}"
    print(f"{found.title}: {told}; {len(todo)} without a record")
    _run(todo, records_dir, jobs, minutes)
    outcomes |= {config: made(config, records_dir) for config in todo}
    records = [outcome for outcome in outcomes.values() if isinstance(outcome, RunRecord)]
    table = difference_table(records, weighting)
    print(f"test error, percentage points, {weighting} minus the other; 95 % intervals (Student's t)")
    print(table.to_string(index=False, float_format="{:.2f}".format, na_rep=""))
    for name in sorted({config.weighting for config in others} - set(table["against"])):
        print(f"{name} is not in the table: the study trains it otherwise than const, such as at another learning rate")
    name = re.sub(r"[^\w.=]+", "-", weighting).strip("-")
    print("saved:", *save_summary(table, records, records_dir / f"{name}-beside-{study.stem}"))


def _run(todo: list[RunConfig], folder: Path, jobs: int, minutes: float | None) -> None:
    """Make records, and tell of each; another exit status than 0 if some are not made."""
    if not todo:
        return
    start = time.perf_counter()
    outcomes: Counter[str] = Counter()
    seconds = None if minutes is None else 60 * minutes
    print(f"making {counted(len(todo), 'record')} in {folder}, {jobs} at a time", flush=True)
    bar = jobs == 1 and sys.stderr.isatty()
    for done in run_study(todo, folder, jobs=jobs, rules=load_claims().rules, seconds=seconds, progress=bar):
        outcomes[done.outcome] += 1
        number = outcomes.total()
        left = (time.perf_counter() - start) / number * (len(todo) - number) / 60
        more = f" (about {left:.0f} min left)" if left >= 1 else ""
        print(f"[{number}/{len(todo)}] {done.outcome} {done.config.name}: {done.message}{more}", flush=True)
    not_begun = len(todo) - outcomes.total()
    told = [f"{count} {outcome}" for outcome, count in outcomes.items()] + [f"{not_begun} not begun"] * (not_begun > 0)
    print(f"{', '.join(told)}; {time.perf_counter() - start:.0f} s with {counted(jobs, 'job')}")
    if outcomes["failed"]:
        raise SystemExit(1)
    if outcomes["interrupted"] or not_begun:
        raise SystemExit(AGAIN)


def study_cost(
    files: tyro.conf.Positional[tuple[Path, ...]],
    rate: float | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
) -> None:
    """Tell what studies cost before they are started: runs, multiply-adds, and hours.

    Hours are multiply-adds over one rate. Unless it is given, the costliest run is trained for three seconds, on its
    own data. Leave the machine alone meanwhile.

    Args:
        files: Study files; a run that several of them share counts once.
        rate: Multiply-adds per second of one process.
        device: Time on this device instead of the run's own.
    """
    if rate is not None and not rate > 0:
        raise InputError(f"bad arguments: rate: expected above 0, found {rate:g}")
    runs: dict[Path, tuple[RunConfig, bool]] = {}
    for file in files:
        study, configs = load_study(file)
        for config in configs:
            runs.setdefault(study.records / f"{config.name}.json", (config, made(config, study.records) is not None))
        print(f"{study.title} ({study.tier}): {counted(len(configs), 'run')}", flush=True)
    if not runs:
        raise InputError("bad arguments: files: expected at least one study, found none")
    from anytime_study.studies.cost import cost_table, duration, measure_rate, run_macs  # pandas, for this command only

    if rate is None:
        costliest = max((config for config, _ in runs.values()), key=run_macs)
        print(f"timing {costliest.network} on {costliest.dataset}", file=sys.stderr, flush=True)
        rate = measure_rate(costliest if device is None else costliest.model_copy(update={"device": device}))
    table = cost_table(list(runs.values()), rate)
    totals = table[["training MACs", "hours", "hours left"]].sum()
    shown = table.rename(columns={"hours": "time", "hours left": "time left"})
    times = dict.fromkeys(("time", "time left"), duration)
    print(shown.to_string(index=False, formatters={"training MACs": "{:.2e}".format, **times}))
    print(
        f"all runs: {totals['training MACs']:.2e} MACs, {duration(totals['hours'])} one after the other; without a "
        f"record: {duration(totals['hours left'])}; at {rate:.2e} multiply-adds per second"
    )
