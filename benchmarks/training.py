"""Rows about training: what a weighting costs, and what the exits cost."""

from __future__ import annotations

from anytime_study.runs.registries import WEIGHTINGS
from anytime_study.training.loop import TrainingRun
from benchmarks.machine import Settings
from benchmarks.report import Comparison
from benchmarks.timing import Block, compare, timed

CONTROL = "const, a second run"
ALL, LAST = "all exits", "last exit only"


class PackagedTraining:
    """Training as the package does it: steps of a real run, batches and augmentation included.

    Args:
        settings: Sizes.
        like: Another training whose images this one shares: there are many runs at once in some rows.
        changes: Fields of the config.

    Attributes:
        run: The run.
    """

    def __init__(self, settings: Settings, like: PackagedTraining | None = None, **changes: object) -> None:
        self.run = TrainingRun(settings.config(**changes))
        if like is not None:
            self.run.data = like.run.data
        self._steps = self.run.steps()
        self._deterministic = settings.device == "cpu"  # as TrainingRun.fit has it

    def block(self, number: int) -> Block:
        """Time ``number`` steps in a row."""
        threads = self.run.config.threads
        return timed(lambda: next(self._steps), number=number, threads=threads, deterministic=self._deterministic)


def weightings(settings: Settings) -> dict[str, object]:
    """Every weighting with its default options; unit ms, so a ratio above 1 is slower than CONST.

    A second run of CONST tells how far two runs of the same thing are apart: where their tensors lie in memory
    differs. AdaLoss of order 1 needs a gradient per exit and is slower by a whole factor, so it is measured less often;
    it is compared in float32.
    """
    losses = {"const": "const", CONTROL: "const", **{name: name for name in WEIGHTINGS.entries if name != "const"}}
    losses = settings.pick(losses, {"const": "const", CONTROL: "const", "adaloss": "adaloss", "uw": "uw"})
    gradients = {name: name for name in ("const", "adaloss(order=1)")}
    found = {
        "losses": _weighed(settings, losses, settings.precision, number=3, rounds=32),
        "gradients": _weighed(settings, gradients, "fp32", number=1, rounds=12),
    }
    return {"comparisons": found}


def _weighed(settings: Settings, weightings: dict[str, str], precision: str, *, number: int, rounds: int) -> Comparison:
    first = PackagedTraining(settings, weighting="const", precision=precision)
    blocks = {}
    for name, text in weightings.items():
        run = first if name == "const" else PackagedTraining(settings, first, weighting=text, precision=precision)
        blocks[name] = run.block(settings.pick(number, 1))
    return compare(f"weightings, {precision}", blocks, "const", settings.pick(rounds, 2))


def exits(settings: Settings) -> dict[str, object]:
    """A training step with all exits, against the last one alone on the same units; unit ms."""
    n, c = settings.size
    networks = {LAST: f"resann(n={n}, c={c}, first_exit={3 * n})", ALL: settings.network}
    runs = {name: PackagedTraining(settings, network=text, weighting="const") for name, text in networks.items()}
    blocks = {name: run.block(settings.pick(5, 2)) for name, run in runs.items()}
    macs = {name: each.run.costs.macs_cumulative[-1] for name, each in runs.items()}
    return {
        "comparisons": {"training": compare("a training step", blocks, LAST, settings.pick(30, 2))},
        "facts": {"macs_all_over_last": macs[ALL] / macs[LAST]},
    }
