"""Rows about training: against a plain loop, what a weighting costs, what the exits cost."""

from __future__ import annotations

from functools import partial

from anytime_study.foundations.torch_state import compute_settings
from anytime_study.runs.registries import WEIGHTINGS
from anytime_study.training.loop import TrainingRun
from anytime_study.training.setup import can_compile
from benchmarks.machine import Settings
from benchmarks.plain import PlainTraining
from benchmarks.report import Comparison
from benchmarks.timing import Block, clock, compare, timed

WORKERS = (0, 2)  # of the plain loop's DataLoader: which is better depends on the cores
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
        first_step_seconds: Time of the first step, in which a compiled network is compiled.
    """

    def __init__(self, settings: Settings, like: PackagedTraining | None = None, **changes: object) -> None:
        self.run = TrainingRun(settings.config(**changes))
        if like is not None:
            self.run.data = like.run.data
        self._steps = self.run.steps()
        self._deterministic = settings.device == "cpu"  # as TrainingRun.fit has it
        start = clock()
        with compute_settings(settings.threads, deterministic=self._deterministic):
            next(self._steps)
        self.first_step_seconds = clock() - start

    def block(self, number: int) -> Block:
        """Time ``number`` steps in a row."""
        threads = self.run.config.threads
        return timed(lambda: next(self._steps), number=number, threads=threads, deterministic=self._deterministic)


def training(settings: Settings) -> dict[str, object]:
    """One or two comparisons; unit images/s, so a ratio above 1 is faster than the baseline."""
    number, rounds = settings.pick(8, 2), settings.pick(12, 2)
    rate = {"unit": "images/s", "images": settings.batch_size}
    blocks: dict[str, Block] = {}
    for workers in settings.pick(WORKERS, (0,)):
        blocks[f"plain loop, {workers} workers"] = partial(PlainTraining(settings, workers).measure, number)
    best = min(blocks, key=lambda name: blocks[name]())  # nobody shall say that the plain loop was slowed down
    for precision in dict.fromkeys(["fp32", settings.precision]):
        blocks[f"package, {precision}"] = PackagedTraining(settings, precision=precision).block(number)
    found = {"plain_loop": compare("against a plain loop", blocks, best, rounds, **rate)}
    facts = {}
    if not settings.quick and can_compile():  # it compiles for half a minute
        compiled = PackagedTraining(settings, compile=True)
        blocks = {"eager": PackagedTraining(settings).block(number), "compiled": compiled.block(number)}
        found["compile"] = compare("torch.compile", blocks, "eager", rounds, **rate)
        facts["compile_seconds"] = compiled.first_step_seconds
    return {"comparisons": found, "facts": facts}


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
