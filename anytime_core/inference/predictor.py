"""Stop at any moment: answers of a network with exits by a deadline, a budget, an exit or a confidence.

predictor = AnytimePredictor(net)
predictor.predict(images, deadline=0.002).probabilities    # [N, classes], two milliseconds from now
for prediction in predictor.refine(images):                # better and better; leave when you like
    ...
"""

from __future__ import annotations

import itertools
import math
import numbers
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.inputs import InputChecks
from anytime_core.inference.latency import LatencyTable
from anytime_core.inference.logits import softmax_at
from anytime_core.inference.steps import StepCosts, ready_for_inference
from anytime_core.networks.base import AnytimeNetwork

SLOWEST = 2.0
"""Most that a call may stretch the times of its latency table: a pause of a thousand steps says nothing of the next."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """One answer for N inputs, made in inference mode: ``clone()`` what a gradient shall pass through.

    Attributes:
        exit: The exit that answered, from 1.
        logits: Its logits, [N, classes].
        probabilities: Softmax of the logits, float32 [N, classes].
        macs: Multiply-adds spent on each input since the call: what was run, and nothing else.
        elapsed_s: Seconds since the call, with the checks of the input and, on a GPU, with all kernels finished.
        late: Whether the answer came after its deadline; False where none was set.
    """

    exit: int
    logits: Tensor = field(repr=False)
    probabilities: Tensor = field(repr=False)
    macs: int
    elapsed_s: float
    late: bool = False


class AnytimePredictor:
    """Answers of a trained network that can be stopped.

    Inputs are what the network takes: tensors [N, ...] of its dtype (or whole numbers) and on its device, alone or in
    lists, tuples and dicts. Images have to be normalised as in training. The first call for each shape counts the
    costs, which takes some 50 ms.

    The network is put into evaluation mode and into the layout channels_last (a tenth faster at batch size 1), and it
    stays so; it is not copied, so predictors cost nothing. Where training is to go on, give it a copy: a changed layout
    does not fit the state that an optimiser has made. In an :class:`EANN`, exits that are not adopted are never
    run: their answer would be that of the one before. Adoption is read once, here.

    One predictor serves any number of threads: a call keeps its state to itself. :meth:`interrupt` ends all calls under
    way; threads that want to be interrupted one by one take a predictor each.

    Args:
        net: The network, on its device.
        latency: Measured times (:func:`measure_latency`); with them :meth:`predict` starts nothing that it cannot
            finish before a deadline.
        clock: Seconds; another clock than the real one is for tests and simulations.

    Raises:
        InputError: ``net`` has no exits, or ``latency`` was measured on another network or device.
    """

    def __init__(
        self,
        net: AnytimeNetwork,
        latency: LatencyTable | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.net, self.latency, self._clock = net, latency, clock
        self._steps = ready_for_inference(net)
        self._answers = [bisect_right(self.exits, number) - 1 for number in range(1, net.num_exits + 1)]  # by exit
        self._checked = InputChecks(net, self._steps)
        self._counter = itertools.count(1)  # next() is atomic, += is not
        self._interrupts = 0
        self._needed = [0.0] * len(self._steps)  # without a table: a step may start as long as there is any time
        self._usual = [math.inf] * len(self._steps)
        if latency is not None:
            latency.check_network(net, self.device)
            self._needed = latency.needed()
            self._usual = latency.usual([step.member_start for step in self._steps])

    @property
    def device(self) -> torch.device:
        """Where the inputs have to be."""
        return self._checked.like.device

    @property
    def exits(self) -> tuple[int, ...]:
        """The exits that answer: all, or those that an EANN has adopted."""
        return tuple(step.exit for step in self._steps)

    def interrupt(self) -> None:
        """End all calls under way, from another thread: each answers with the segment that it is in.

        A call that begins later is not affected. The answer costs the rest of that segment and one head.
        """
        self._interrupts = next(self._counter)

    def predict(
        self,
        inputs: Any,
        *,
        deadline: float | None = None,
        macs: float | None = None,
        exit: int | None = None,
        confidence: float | None = None,
    ) -> Prediction:
        """Answer under exactly one of four limits.

        Only with ``confidence`` are the heads on the way evaluated. With the others one head is: that of the answer. In
        an EANN, ``exit`` and ``macs`` also leave out the members before the one that answers.

        Args:
            inputs: A batch, see the class.
            deadline: Seconds from this call, above 0. The answer is that of the last exit that is reached in time; the
                first exit is always given, ``late`` tells if it was not in time. Without a latency table a segment is
                begun as long as there is any time, so answers come late by up to one segment and one head.
            macs: Multiply-adds for each input: the last exit whose own cost (``macs_fixed``) is within them.
            exit: This exit, from 1; in an EANN, if it is not adopted, the last adopted one before it.
            confidence: The first exit whose largest probability is at least this, from 0 to 1, for each of the inputs,
                or the last exit.

        Raises:
            InputError: inputs or limits that cannot be used; it says what was expected and what was found.
        """
        start, interrupts = self._clock(), self._interrupts
        if (deadline is None) + (macs is None) + (exit is None) + (confidence is None) != 3:
            limits = {"deadline": deadline, "macs": macs, "exit": exit, "confidence": confidence}
            given = [name for name, value in limits.items() if value is not None]
            raise InputError(f"predict: expected one of {', '.join(limits)}, found {' and '.join(given) or 'none'}")
        with torch.inference_mode():  # around the checks too: a sum that autograd looks at takes 20 µs more
            costs = self._checked(inputs)
            if confidence is not None:
                return self._until(confidence, self._stream(inputs, costs, start, interrupts))
            last = len(self._steps) - 1
            spent = costs.fixed
            if deadline is not None:
                _check(_is_number(deadline) and deadline > 0, "deadline", "more than 0 seconds", deadline)
                if self.latency is not None:
                    self.latency.check_call(inputs, self.device)
                spent = costs.walked
            elif exit is not None:
                if not isinstance(exit, numbers.Integral) or exit is True or not 1 <= exit <= len(self._answers):
                    raise InputError(f"exit: expected 1 to {len(self._answers)}, found {exit!r}")
                last = self._answers[exit - 1]
            elif macs is not None:
                within = [position for position, cost in enumerate(spent) if _is_number(macs) and cost <= macs]
                _check(bool(within), "macs", f"at least {min(spent)}, the cost of the cheapest exit", macs)
                last = within[-1]

            state = inputs
            position = 0 if deadline is not None else self._steps[last].member_start
            while True:
                step = self._steps[position]
                if position == step.member_start:
                    state = inputs
                for segment in step.segments:
                    state = segment(state)
                if position == last or self._interrupts != interrupts:
                    break
                if deadline is not None:
                    self._synchronise()
                    elapsed = self._clock() - start
                    # a call that has been slow up to here goes on to be slow: other work, a lower clock rate
                    slower = min(max(elapsed / self._usual[position], 1.0), SLOWEST)
                    if elapsed + slower * self._needed[position + 1] > deadline:
                        break
                position += 1
            return self._prediction(step.exit, step.head(state), spent[position], start, deadline)

    def refine(self, inputs: Any) -> Iterator[Prediction]:
        """Answers exit by exit, each computed when it is asked for; leave the loop at any time.

        Every head on the way is paid. :meth:`interrupt` ends it after the next answer. ``elapsed_s`` is the time since
        this call, with whatever the caller did in between.

        Args:
            inputs: A batch, see the class.

        Raises:
            InputError: inputs that cannot be used; in this call, not at the first answer.
        """
        start, interrupts = self._clock(), self._interrupts
        with torch.inference_mode():
            costs = self._checked(inputs)
        return self._stream(inputs, costs, start, interrupts)

    def warm_up(self, inputs: Any, rounds: int = 10) -> None:
        """Answer a few times, so that no later call pays what PyTorch sets up in its first ones."""
        _check(self.net.macs_now(inputs) is None, "net", "one that keeps no text", type(self.net).__name__)
        for _ in range(rounds):
            for _ in self.refine(inputs):
                pass

    def _stream(self, inputs: Any, costs: StepCosts, start: float, interrupts: int) -> Iterator[Prediction]:
        state = inputs
        for position, step in enumerate(self._steps):
            with torch.inference_mode():  # left before the yield: the caller's code runs in the caller's mode
                if position == step.member_start:
                    state = inputs
                for segment in step.segments:
                    state = segment(state)
                prediction = self._prediction(step.exit, step.head(state), costs.streamed[position], start, None)
            yield prediction
            if self._interrupts != interrupts:
                return

    @staticmethod
    def _until(confidence: float, predictions: Iterator[Prediction]) -> Prediction:
        _check(_is_number(confidence) and 0 <= confidence <= 1, "confidence", "0 to 1", confidence)
        prediction = next(predictions)
        while not bool((prediction.probabilities.amax(-1) >= confidence).all()):
            if (better := next(predictions, None)) is None:
                break
            prediction = better
        return prediction

    def _prediction(self, exit: int, logits: Tensor, macs: int, start: float, deadline: float | None) -> Prediction:
        probabilities = softmax_at(logits.float())
        self._synchronise()
        elapsed = self._clock() - start
        return Prediction(exit, logits, probabilities, macs, elapsed, deadline is not None and elapsed > deadline)

    def _synchronise(self) -> None:
        """Wait until the device has done what it was told, so that the clock tells of it. A CPU has no queue."""
        if not self._checked.like.is_cpu:
            torch.accelerator.synchronize(self.device)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _check(good: bool, name: str, expected: str, found: object) -> None:
    if not good:
        raise InputError(f"{name}: expected {expected}, found {found!r}")
