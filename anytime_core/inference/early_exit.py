"""Early exit of a batch: confident inputs leave at each exit, and only the others are computed further.

early = EarlyExit(net, thresholds=0.9)
prediction = early.predict(images)
prediction.exit, prediction.probabilities, prediction.mean_macs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from anytime_core.errors import InputError
from anytime_core.inference.inputs import InputChecks
from anytime_core.inference.logits import checked_temperatures, checked_thresholds, softmax_at
from anytime_core.inference.steps import find_steps, ready_for_inference, step_costs
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.inputs import example_batch, on_meta


@dataclass(frozen=True, eq=False)
class EarlyExitPrediction:
    """Answers for N inputs, in the order in which they came.

    Attributes:
        exit: The exit that answered each input, from 1; int64 [N].
        logits: Of that exit, [N, classes].
        probabilities: Softmax of the logits over that exit's temperature, [N, classes].
        macs: Multiply-adds spent on each input: its segments, and all heads that it has passed; int64 [N].
    """

    exit: Tensor
    logits: Tensor = field(repr=False)
    probabilities: Tensor = field(repr=False)
    macs: Tensor = field(repr=False)

    @property
    def mean_macs(self) -> float:
        """Multiply-adds per input."""
        return self.macs.double().mean().item()


class EarlyExit:
    """A trained network in which each input of a batch leaves at the first exit that is sure of it.

    Confidence is the largest probability. An input whose confidence is at least the exit's threshold leaves with that
    exit's answer; the batch shrinks to the others before the next segment. The last exit answers what is left. Labels
    play no part. The answer for an input does not depend on its batch, beyond rounding.

    The network is used, and changed, as by :class:`AnytimePredictor`. ``K`` counts the exits that answer.

    Args:
        net: The network, on its device.
        thresholds: For each exit that answers but the last, [K - 1], or one number for all of them: 0 lets every input
            leave, infinity none. See :func:`fit_thresholds` for a budget, and
            :func:`fit_non_inferior_thresholds` for an error.
        temperatures: Divisor of each exit's logits, [K], or one number for all; 1 by default. The same that the
            thresholds were fitted with. See :func:`fit_temperatures`.

    Attributes:
        exits: The exits that answer, numbered from 1, [K].

    Raises:
        InputError: a network without exits; thresholds or temperatures that cannot be used.

    Source: Huang et al. 2018 (MSDNet), budgeted batch classification; temperatures as Guo et al. 2017.
    """

    def __init__(self, net: AnytimeNetwork, thresholds: Any, temperatures: Any = None) -> None:
        self.net, self._steps = net, ready_for_inference(net)
        self.exits = tuple(step.exit for step in self._steps)
        self.thresholds = checked_thresholds(thresholds, len(self.exits)).tolist()
        self._temperatures = checked_temperatures(temperatures, len(self.exits)).tolist()
        self._checked = InputChecks(net, self._steps)
        self._alone: dict[str, list[list[Any]]] = {}  # by kind of inputs: the state after each segment for one input

    def predict(self, inputs: Any) -> EarlyExitPrediction:
        """Answer each input at the first exit that is sure of it.

        On a GPU every exit waits for the device, to learn how many inputs are left.

        Args:
            inputs: A batch of what the network takes, see :class:`AnytimePredictor`.

        Raises:
            InputError: inputs that cannot be used; or a state of the network that is not made of tensors [N, ...].
        """
        with torch.inference_mode():
            costs = self._checked(inputs).streamed
            first = tree_leaves(inputs)[0]
            places = torch.arange(len(first), device=first.device)  # in the input, of those still in the batch
            state = inputs
            done = []
            for position, step in enumerate(self._steps):
                if position and position == step.member_start:  # the next member of an EANN starts on inputs again
                    state = tree_map_only(Tensor, lambda x, places=places: x[places], inputs)
                for segment in step.segments:
                    state = segment(state)
                logits = step.head(state)
                if logits.shape[:-1] != places.shape:
                    raise InputError(f"exit {step.exit}: expected [{len(places)}, classes], found {list(logits.shape)}")
                probabilities = softmax_at(logits.float(), self._temperatures[position])
                if position == len(self.thresholds):  # the last exit answers what is left
                    number = len(places)
                else:
                    leaves = probabilities.amax(-1) >= self.thresholds[position]
                    number = int(leaves.sum())  # on a GPU this waits for the device
                if number == 0:
                    continue
                exit_and_macs = torch.tensor([step.exit, costs[position]], device=places.device).expand(number, 2)
                if number == len(places):
                    done.append((places, exit_and_macs, logits, probabilities))
                    break
                done.append((places[leaves], exit_and_macs, logits[leaves], probabilities[leaves]))
                stays = (~leaves).nonzero()[:, 0]
                state = self._rows(state, stays, len(places), step.exit, inputs)
                places = places[stays]
            came, *answers = (torch.cat(parts) for parts in zip(*done, strict=True))
            order = came.argsort()
            exit_and_macs, logits, probabilities = (answer[order] for answer in answers)
            return EarlyExitPrediction(exit_and_macs[:, 0], logits, probabilities, exit_and_macs[:, 1])

    def _rows(self, state: Any, rows: Tensor, number: int, exit: int, inputs: Any) -> Any:
        """The same state for some of its inputs: tensors with a row for each, alone or in lists, tuples and dicts."""
        kind = str(tree_map_only(Tensor, lambda x: x.shape[1:], inputs))
        if kind not in self._alone:
            self._alone[kind] = _states_of_one(self.net, inputs)
        for x, one in zip(tree_leaves(state), self._alone[kind][exit - 1], strict=True):
            if isinstance(x, Tensor) and (x.shape[:1] != (number,) or one.shape[:1] != (1,)):  # N by chance is no row
                found = f"{list(x.shape)} for {number} and {list(one.shape)} for one"
                raise InputError(f"state after exit {exit}: expected a row per input, to shrink a batch, found {found}")
        return tree_map_only(Tensor, lambda x: x[rows], state)  # keeps channels_last, which index_select does not


def answer_costs(net: AnytimeNetwork, inputs: Any) -> tuple[int, ...]:
    """``exit_costs(net, inputs).macs_cumulative`` of the K exits that answer; other heads are not paid."""
    return step_costs(net, inputs, find_steps(net)).streamed


def _states_of_one(net: AnytimeNetwork, inputs: Any) -> list[list[Any]]:
    """What the state after each segment is made of for one input alone, without data."""
    if net.macs_now(inputs) is not None:
        raise InputError("net: expected one that keeps no text, as a batch of texts cannot shrink")
    with torch.inference_mode(mode=False), torch.no_grad():
        shadow, given = on_meta(net), example_batch(inputs, net)
        state, found = given, []
        for position, segment in enumerate(shadow.segments):
            state = segment(given if position in net.starts else state)
            found.append(tree_leaves(state))
    return found
