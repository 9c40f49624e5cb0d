"""Network and training loop of kalviny/MSDNet-PyTorch, run from a clone, beside the same network of the library.

Their network for CIFAR-10 has the layers of ``MSDNet.original``, and so the same number of multiply-adds. Their loop is
called as it stands. On a CPU ``Tensor.cuda``, which it calls, gives the tensor itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from functools import partial
from importlib import import_module
from io import StringIO
from itertools import chain, repeat
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from anytime_core import AnytimePredictor
from anytime_study.datasets.loading import fetch
from anytime_study.foundations.torch_state import compute_settings
from benchmarks.machine import Settings
from benchmarks.peers import Absent
from benchmarks.timing import Block, clock, compare, timed
from benchmarks.training import PackagedTraining

THEIRS, OURS = "MSDNet-PyTorch", "msdnet_original(num_exits=7)"
NETWORK = "--arch msdnet --nBlocks 7 --stepmode even --step 2 --base 4 --nChannels 16"
BATCH = 64
WORKERS = 2  # of their DataLoader; while others take their turn, it gets its next batches ready
WARM_UP = 2  # steps of a turn that do not count


class Turn:
    """Batches of one turn; after it, ``seconds`` per step of those that count, loading included."""

    def __init__(self, batches: Iterator[tuple[Tensor, Tensor]], number: int) -> None:
        self.batches, self.number, self.seconds = batches, number, 0.0

    def __len__(self) -> int:
        return WARM_UP + self.number

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        start = clock()
        for place in range(len(self)):
            if place == WARM_UP:
                start = clock()
            yield next(self.batches)
        self.seconds = (clock() - start) / self.number


class TheirTraining:
    """Their network, loader and loop.

    Args:
        clone: The folder of the clone.
        settings: Device and threads.

    Raises:
        Absent: there is no such clone.
    """

    def __init__(self, clone: Path | None, settings: Settings) -> None:
        self.settings, self.loop = settings, their_loop(clone)
        with redirect_stdout(StringIO()):
            self.net: nn.Module = self.loop.models.msdnet(self.loop.args)
        self.trained = nn.DataParallel(self.net).cuda() if settings.device == "cuda" else self.net
        loader, *_ = self.loop.get_dataloaders(self.loop.args)
        self.batches = chain.from_iterable(repeat(loader))
        self.optimiser = torch.optim.SGD(self.trained.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def block(self, number: int) -> Block:
        """Time ``number`` steps in a row."""

        def measure() -> float:
            turn = Turn(self.batches, number)
            on_cpu = patch.object(Tensor, "cuda", lambda tensor, *_, **__: tensor)
            with (
                compute_settings(self.settings.threads, deterministic=False),
                redirect_stdout(StringIO()),
                on_cpu if self.settings.device == "cpu" else nullcontext(),
            ):
                self.loop.train(turn, self.trained, nn.CrossEntropyLoss(), self.optimiser, 0)
            return turn.seconds

        return measure

    def macs(self, image: Tensor) -> float:
        """Multiply-adds of one image [1, C, H, W] with all exits."""
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            self.net.eval()(image)
        return counter.get_total_flops() / 2


def their_loop(clone: Path | None) -> ModuleType:
    """Their ``main.py`` as a module, with the options that their README has for seven exits, but for the data set."""
    if clone is None or not (clone / "main.py").exists():
        found = "none" if clone is None else f"no main.py in {clone}"
        raise Absent(f"expected --msdnet with a clone of github.com/kalviny/MSDNet-PyTorch, found {found}")
    options = f"--data cifar10 --workers {WORKERS} --batch-size {BATCH} {NETWORK}".split()
    said = ["main.py", *options, "--data-root", str(fetch("cifar10"))]
    with patch.object(sys, "argv", said), patch.object(sys, "path", [str(clone), *sys.path]):
        return import_module("main")


def msdnet_pytorch(settings: Settings) -> dict[str, object]:
    """Training in images/s, so a ratio above 1 is faster than theirs; one image on one thread in ms, below 1 is."""
    theirs = TheirTraining(settings.msdnet, settings)
    like = partial(PackagedTraining, settings, dataset="cifar10", network=OURS, batch_size=BATCH, weighting="const")
    precisions = dict.fromkeys(["fp32", settings.precision])
    ours = {f"library, {precision}": like(precision=precision) for precision in precisions}
    run = ours["library, fp32"].run
    number = settings.pick(4, 1)
    blocks = {THEIRS: theirs.block(number), **{name: each.block(number) for name, each in ours.items()}}
    rate = {"unit": "images/s", "images": BATCH}
    training = compare("training", blocks, THEIRS, settings.pick(10, 1), **rate)

    image = run.data.normalise(run.data.test_images[:1])
    predictor, plain = AnytimePredictor(run.network), theirs.net.eval()
    predictor.warm_up(image)

    def whole() -> Tensor:
        with torch.inference_mode():
            return plain(image)

    calls = {
        f"{THEIRS}, all exits": whole,
        "library, all exits": lambda: list(predictor.refine(image)),
        "library, first exit": lambda: predictor.predict(image, exit=1),
    }
    timings = {name: timed(call, number=settings.pick(10, 1)) for name, call in calls.items()}
    latency = compare("one image", timings, f"{THEIRS}, all exits", settings.pick(20, 1))
    return {
        "setting": f"{OURS} on cifar10, batch {BATCH}, {settings.threads} thread(s); one image on one thread",
        "comparisons": {"training": training, "latency": latency},
        "facts": {"macs_theirs": theirs.macs(image), "macs_ours": run.costs.macs_cumulative[-1]},
    }
