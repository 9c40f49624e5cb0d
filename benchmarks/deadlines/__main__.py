"""The command ``python -m benchmarks.deadlines``: measure stopping on this machine, and keep it in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import torch
import tyro
from pydantic import BaseModel

from anytime_core.errors import InputError
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.ensemble import EANN
from anytime_study.datasets import DatasetError, load_dataset
from anytime_study.datasets.images import ImageData
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.artefacts import TrainedModel, load_model
from benchmarks.deadlines.confidence import measure_confidence
from benchmarks.deadlines.exits import compare_exits
from benchmarks.deadlines.load import may_go_first
from benchmarks.deadlines.report import DeadlineReport, Exits, Trial, Trials, load_deadline_report
from benchmarks.deadlines.trials import make_subject, run_trial
from benchmarks.header import describe_device, load_average, made
from benchmarks.reports import Made
from benchmarks.settings import cores

ROOT = Path(__file__).parents[2]
MODEL = "fashion-mnist-resann-adaloss"
MEMBERS = tuple(f"resann(n={n}, c=16)" for n in (1, 2, 4))  # those of the study of sequences of networks
PartName = Literal["exits", "trials", "confidence"]


def measure(
    parts: tuple[PartName, ...] = get_args(PartName),
    quick: bool = False,
    out: Path | None = None,
) -> None:
    """Measure, and write the file of this device; parts that are not measured now stay as they are in it.

    One thread, batch 1, on the CPU; 10 minutes. Leave the machine alone meanwhile: the load is made here.

    Args:
        parts: What to measure.
        quick: Shrink everything, to try the machinery; the numbers mean nothing.
        out: The file, instead of benchmarks/results/deadlines/<device>.json (under build/ if quick).
    """
    here = describe_device("cpu", cores())
    folder = ROOT / ("build/benchmarks/deadlines" if quick else "benchmarks/results/deadlines")
    path = out or folder / f"{here.slug}.json"
    report = DeadlineReport(device=here, model=MODEL, quick=quick)
    if path.exists():
        report = load_deadline_report(path)
        if (report.device, report.quick) != (here, quick):
            raise InputError(f"out: expected a file of {here.name} with quick={quick}, found another one in {path}")
    model = load_model(ROOT / "data" / "models" / MODEL)
    data = load_dataset(model.card.dataset)
    if not isinstance(data, ImageData):
        raise InputError(f"model: expected a network for images that fit in memory, found one for {model.card.dataset}")
    for name in parts:
        load, start = load_average(), time.perf_counter()

        def finished(setting: str, load: float | None = load, start: float = start) -> Made:
            return made(threads=1, load=load, seconds=time.perf_counter() - start, setting=setting)

        with compute_settings(1, deterministic=False):
            report = report.model_copy(update={name: _PARTS[name](model, data, quick, finished)})
        report.save(path)
        sys.stdout.write(f"{name}: {time.perf_counter() - start:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(f"{path}\n")


Finished = Callable[[str], Made]


def _exits(model: TrainedModel, data: ImageData, quick: bool, finished: Finished) -> BaseModel:
    image = data.normalise(data.test_images[:1])
    rounds, number = (3, 2) if quick else (60, 20)
    comparisons = compare_exits(model.net, image, rounds=rounds, number=number)
    return Exits(comparisons=comparisons, made=finished(f"{model.card.network}, batch 1, fp32"))


def _trials(model: TrainedModel, data: ImageData, quick: bool, finished: Finished) -> BaseModel:
    rounds, count = (100, 100) if quick else (1000, 10_000)
    images, labels = data.normalise(data.test_images), data.test_labels
    single = make_subject(model.card.network, model.net, images, labels, rounds)
    short = (0.2 * single.first_s, single.first_s)
    found: dict[str, Trial] = {
        "table, idle": run_trial(single, count),
        "table, one core busy": run_trial(single, count, load="one core busy", busy=1),
        "table, all cores busy": run_trial(single, count, load="all cores busy", busy=cores()),
        "no table, idle": run_trial(single, count, table=False),
        "no table, one core busy": run_trial(single, count, table=False, load="one core busy", busy=1),
        "table, idle, short": run_trial(single, count // 5, ends=short),
    }
    if may_go_first():
        found["table, one core busy, first"] = run_trial(single, count, load="one core busy", busy=1, first=True)
    torch.manual_seed(0)
    sequence = make_subject(
        f"EANN of {', '.join(MEMBERS)}", EANN([_built(text, data) for text in MEMBERS]), images, None, rounds
    )
    deep = make_subject(MEMBERS[-1], _built(MEMBERS[-1], data), images, None, rounds)
    ends = min(sequence.first_s, deep.first_s), 1.2 * sequence.full_s
    found |= {"EANN": run_trial(sequence, count, ends=ends), "deepest": run_trial(deep, count, ends=ends)}
    return Trials(trials=found, made=finished("batch 1, fp32, images in memory"))


def _confidence(model: TrainedModel, data: ImageData, quick: bool, finished: Finished) -> BaseModel:
    rounds, images = (2, 500) if quick else (40, 1000)
    found = measure_confidence(model.net, data, finished(""), rounds=rounds, images=images)
    return found.model_copy(update={"made": finished(f"{model.card.network}, fp32")})


_PARTS = {"exits": _exits, "trials": _trials, "confidence": _confidence}


def _built(text: str, data: ImageData) -> AnytimeNetwork:
    """A network with random weights: they do not change a time."""
    return NETWORKS.build(text, num_classes=len(data.class_names), in_channels=data.card.image_shape[0]).eval()


def main() -> None:
    """Run the command; bad input is one message and exit status 1, without a traceback."""
    try:
        tyro.cli(measure, prog="python -m benchmarks.deadlines")
    except (InputError, DatasetError) as error:
        sys.stderr.write(f"benchmarks.deadlines: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
