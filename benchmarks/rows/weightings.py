"""What a weighting costs: the time of a training step against CONST's."""

from __future__ import annotations

from collections.abc import Mapping

from anytime_study.runs.config import RunConfig
from anytime_study.runs.registries import WEIGHTINGS
from benchmarks.imtl_g import GradientBalancing
from benchmarks.packaged import PackagedTraining
from benchmarks.ratios import comparison
from benchmarks.results import Comparison
from benchmarks.rows import Found
from benchmarks.settings import Settings
from benchmarks.turns import sandwiched, timed

CONTROL = "const, a second run"


def measure(settings: Settings) -> Found:
    """Every weighting with its default options; unit ms, so a ratio above 1 is slower than CONST.

    A second run of CONST tells how far two runs of the same thing are apart: where their tensors lie in memory
    differs. Those that need a gradient per exit are slower by whole factors, so they are measured less often; they are
    compared in float32, which all of them can do.
    """
    const = PackagedTraining(settings.config(weighting="const"))
    losses = {CONTROL: "const", **{name: name for name in WEIGHTINGS.entries if name != "const"}}
    losses = settings.pick(losses, {CONTROL: "const", "adaloss": "adaloss", "uw": "uw"})
    number = settings.pick(3, 1)
    cheap = {name: _like(const, weighting=text).block(number) for name, text in losses.items()}
    cheap_pairs = sandwiched(const.block(number), cheap, settings.pick(32, 3))

    const_fp32 = _like(const, weighting="const", precision="fp32")
    balancing = GradientBalancing(_like(const_fp32, weighting="const").run)
    dear = {
        "adaloss(order=1)": _like(const_fp32, weighting="adaloss(order=1)").block(1),
        "IMTL-G of torchjd": timed(
            balancing.step, number=1, threads=settings.threads, deterministic=settings.device == "cpu"
        ),
    }
    dear_pairs = sandwiched(const_fp32.block(1), dear, settings.pick(12, 1))
    return Found(
        {
            "losses": _compared(f"weightings of losses, {settings.precision}", cheap_pairs),
            "gradients": _compared("a gradient per exit, fp32", dear_pairs),
        },
        {"exits": float(const.run.weighting.num_exits)},
    )


def _like(training: PackagedTraining, **changes: str) -> PackagedTraining:
    """Training of the same config with other fields. It shares the images: there are many runs at once here."""
    found = PackagedTraining(RunConfig.model_validate({**training.run.config.model_dump(), **changes}))
    found.run.data = training.run.data
    return found


def _compared(name: str, pairs: Mapping[str, list[tuple[float, float]]]) -> Comparison:
    """All against const, each divided by the two turns of const beside its own; in ms."""
    beside = {contender: [1000 * const for _, const in found] for contender, found in pairs.items()}
    values = {contender: [1000 * own for own, _ in found] for contender, found in pairs.items()}
    all_const = [value for found in beside.values() for value in found]
    return comparison(name, "ms", "const", {"const": all_const, **values}, beside=beside)
