"""Training of one run: config in, record out."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from anytime_core import __version__
from anytime_core.costs import exit_costs
from anytime_core.losses import cross_entropy_per_exit
from anytime_core.weighting.base import BadLoss
from anytime_study.datasets import load_dataset
from anytime_study.datasets.images import Batch
from anytime_study.foundations.torch_state import compute_settings, own_random_state, random_state, set_random_state
from anytime_study.runs.config import PROTOCOL, RunConfig
from anytime_study.runs.record import RunRecord
from anytime_study.training.checkpoints import Checkpoints
from anytime_study.training.interruption import Interrupted, stop_requests
from anytime_study.training.processes import all_gather_object, mean_over_ranks, num_processes, process_rank
from anytime_study.training.scoring import diverged, scored_record
from anytime_study.training.setup import RandomStreams, can_compile, choose_device, make_learning_rate, make_optimiser


def train(config: RunConfig, *, progress: bool = True, checkpoints: Checkpoints | None = None) -> RunRecord:
    """Train one network and score every exit.

    Deterministic on a CPU: the same config on the same machine gives the same record, timing apart, whether it was
    interrupted or not.

    Args:
        config: What to train.
        progress: Whether to show a progress bar on standard error.
        checkpoints: Where to keep the state of the run, and where to look for one to go on from; None keeps none.

    Raises:
        DatasetError: the data set is not there or is damaged.
        TrainingDiverged: a loss became infinite or NaN.
        Interrupted: with ``checkpoints``: the process was asked to stop, and the state is kept.
    """
    run = TrainingRun(config)
    run.fit(progress=progress, checkpoints=checkpoints)
    return run.record()


_GO_ON, _KEEP, _STOP = 0, 1, 2
_STEPS_TO_AGREE = 10  # steps after which several processes agree on what to do, so the longest wait of one who asks


class TrainingRun:
    """A network in training, with all that its next step depends on.

    Attributes:
        config: What is trained.
        network: The network.
        weighting: The weighting of the exits' losses.
        data: Images and labels, on the device.
        device: Where it is trained.
        epoch_losses: Mean training loss of every exit in each epoch that is completed, [E, K].
        epoch_weights: The weights after each of them, [E, K].
        seconds: Wall-clock seconds of all training steps.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.device = device = choose_device(config)
        self.data = load_dataset(config.dataset, train_size=config.train_size, device=device)
        self._streams = RandomStreams(config.seed, device)
        with self._streams.initialisation():
            network = config.build_network()  # on the CPU, so that every device starts from the same weights
        self.weighting = config.build_weighting(network).to(device)
        scales = config.loss_scales
        self._scales = None if scales is None else torch.tensor(scales, device=device)  # [K]
        self.costs = exit_costs(network, self.data.card.example())

        # channels_last is the layout in which convolutions run fastest
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.optimiser = make_optimiser(config, network, self.weighting)
        self.compiled = config.compile and can_compile()
        if self.compiled:
            # On a GPU a small network's kernels are shorter than their launch: reduce-overhead replays a CUDA graph.
            network.compile(mode="reduce-overhead" if config.on_cuda else None)
        self._trained: nn.Module = self.network
        if num_processes() > 1:
            exits_left_out = self.weighting.last_exit < self.weighting.num_exits
            self._trained = DistributedDataParallel(self.network, find_unused_parameters=exits_left_out)
        self._rate = make_learning_rate(config, self.optimiser)

        # The place in the run: epochs completed, and steps of the one at hand with the sums of its losses.
        self.epoch_losses: list[list[float]] = []
        self.epoch_weights: list[list[float]] = []
        self._step = 0
        self._losses = torch.zeros_like(self.weighting.weights)  # [K]
        self.seconds = 0.0

    # --- training ----------------------------------------------------------------------------------------------

    def fit(
        self, *, progress: bool = True, checkpoints: Checkpoints | None = None, checkpoint_seconds: float = 60.0
    ) -> None:
        """Train for all epochs that remain.

        Args:
            progress: Whether to show a progress bar on standard error.
            checkpoints: Where to keep the state, and where to look for one to go on from; None keeps none.
            checkpoint_seconds: Time between two states that are kept.

        Raises:
            TrainingDiverged: a loss became infinite or NaN.
            Interrupted: with ``checkpoints``: the process was asked to stop (SIGTERM or Ctrl-C), and the state is kept.
        """
        shown = progress and process_rank() == 0
        if checkpoints:
            state = all_gather_object(checkpoints.load(self._made_by()) if process_rank() == 0 else None)[0]
            if state is not None:
                self.load_state_dict(state)
                if shown:
                    epoch = len(self.epoch_losses) + 1
                    tqdm.write(f"{self.config.name}: resuming from epoch {epoch}", file=sys.stderr)
        done, trained = len(self.epoch_losses), self.weighting.last_exit
        with (
            self._settings(),
            stop_requests() if checkpoints else nullcontext() as request,
            own_random_state(self.device),
            tqdm(total=self.config.epochs, initial=done, desc=self.config.name, unit="epoch", disable=not shown) as bar,
        ):
            set_random_state(self.device, self._streams.noise)
            kept = time.perf_counter()
            for epoch_is_over in self.steps():
                if epoch_is_over:
                    loss = self.epoch_losses[-1][trained - 1]
                    bar.set_postfix_str(f"loss of exit {trained}: {loss:.4f}", refresh=False)
                    bar.update()
                if checkpoints is None or request is None:
                    continue
                if num_processes() > 1 and self._step % _STEPS_TO_AGREE:
                    continue
                overdue = time.perf_counter() - kept > checkpoint_seconds
                wish = max(all_gather_object(_STOP if request.is_set() else _KEEP if overdue else _GO_ON))
                if wish != _GO_ON:
                    state = self.state_dict()
                    if process_rank() == 0:
                        checkpoints.save(state)
                    all_gather_object(None)  # nobody ends before the state is kept: it would take the others along
                    kept = time.perf_counter()
                if wish == _STOP:
                    raise Interrupted(
                        f"{self.config.name}: asked to stop in epoch {len(self.epoch_losses) + 1}, after step "
                        f"{self._step} of it; the state is kept, and the same call goes on from there"
                    )

    def steps(self) -> Iterator[bool]:
        """Train, a step each time it is asked for the next; tells after each step whether an epoch is over with it.

        For timings of single steps. PyTorch's settings and random state are the caller's; :meth:`fit` brings its own.
        """
        while len(self.epoch_losses) < self.config.epochs:
            start = time.perf_counter()
            for images, labels in self.epoch_batches():
                self._train_step(images, labels)
                self._step += 1
                last = self._step == self.config.steps_per_epoch
                if last:
                    self._end_epoch()
                self.seconds += time.perf_counter() - start
                yield last
                start = time.perf_counter()

    def _train_step(self, images: Tensor, labels: Tensor) -> None:
        last = self.weighting.last_exit  # nothing is learned from the exits after it
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            logits = self._trained(images, last_exit=None if last == self.weighting.num_exits else last)
        if self.data.card.num_tasks > 1:  # one column for each exit
            labels = labels[:, :last]
        losses = cross_entropy_per_exit(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        losses = F.pad(losses, (0, self.weighting.num_exits - last))  # [K]
        try:
            # the mean over all processes, so that all of them weigh alike and stop at a bad loss together
            objective = self.weighting(mean_over_ranks(losses if self._scales is None else self._scales * losses))
        except BadLoss as error:
            raise diverged(self, error.exit, str(error)) from None
        self.optimiser.zero_grad(set_to_none=True)
        objective.backward()
        self.optimiser.step()
        self._rate.step()
        self._losses += losses.detach()

    def _end_epoch(self) -> None:
        try:
            self.weighting.check()  # the only wait for the device in an epoch, with the two lists below
        except BadLoss as error:
            raise diverged(self, error.exit, str(error)) from None
        self.weighting.end_epoch()
        self._losses = mean_over_ranks(self._losses)
        self.epoch_losses.append((self._losses / self.config.steps_per_epoch).tolist())
        self.epoch_weights.append(self.weighting.weights.tolist())
        self._losses.zero_()
        self._step = 0

    def epoch_batches(self) -> Iterator[Batch]:
        """The batches that remain of the epoch at hand; the first call of an epoch draws its order."""
        if self._step == 0:
            self._order_of_epoch = self._streams.order.get_state()
        return self.data.train_batches(
            self.config.batch_size,
            order=self._streams.order,
            crops=self._streams.crops,
            augment=self.config.augment,
            skip=self._step,
            share=(process_rank(), num_processes()),
        )

    # --- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, as tensors and plain values. Valid between two steps of :meth:`fit`.

        All processes of the run make this call; each gets the state of all.
        """
        with warnings.catch_warnings(action="ignore"):  # of AdaLoss before its first refresh: the run goes on
            weighting = self.weighting.state_dict()
        return {
            "made_by": self._made_by(),
            "network": self.network.state_dict(),
            "weighting": weighting,
            "optimiser": self.optimiser.state_dict(),
            "rate": self._rate.state_dict(),
            "order": self._order_of_epoch if self._step else self._streams.order.get_state(),
            "crops": self._streams.crops.get_state(),
            "noise": all_gather_object(random_state(self.device)),
            "epoch_losses": self.epoch_losses,
            "epoch_weights": self.epoch_weights,
            "step": self._step,
            "losses": all_gather_object(self._losses),  # each process has sums of its own until the epoch ends
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state of :meth:`state_dict`, made by a run of the same config."""
        self.network.load_state_dict(state["network"])
        self.weighting.load_state_dict(state["weighting"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._rate.load_state_dict(state["rate"])
        self._streams.order.set_state(state["order"])
        self._order_of_epoch = state["order"]
        self._streams.crops.set_state(state["crops"])
        self._streams.noise = state["noise"][process_rank()]
        self.epoch_losses = state["epoch_losses"]
        self.epoch_weights = state["epoch_weights"]
        self._step = state["step"]
        self._losses.copy_(state["losses"][process_rank()])
        self.seconds = state["seconds"]

    def _made_by(self) -> dict[str, Any]:
        """Who may go on from a state: the same run, in the same version, on the same kind of device."""
        return {
            "run": self.config.name,
            "protocol": PROTOCOL,
            "package": __version__,
            "format": 3,  # of the state
            "torch": str(torch.__version__),
            "device": self.device.type,
        }

    # --- record ------------------------------------------------------------------------------------------------

    def record(self) -> RunRecord:
        """Score every exit on all splits and write down the run.

        Raises:
            TrainingDiverged: the network gives no numbers: its weights or its running statistics blew up at the end.
        """
        with self._settings():
            return scored_record(self)

    def _settings(self) -> AbstractContextManager[None]:
        return compute_settings(self.config.threads, deterministic=self.device.type == "cpu")
