"""Early exit of a batch: confident images leave at each exit, and only the others are computed further.

early = EarlyExit(net, thresholds=0.9)
prediction = early.predict(images)
prediction.exit, prediction.probabilities, prediction.mean_macs
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from anytime_core.errors import InputError
from anytime_core.inference.image_checks import refuse_bad_pixels, refuse_bad_shape
from anytime_core.inference.logits import checked_temperatures, softmax_at
from anytime_core.inference.steps import find_steps, step_costs
from anytime_core.networks.base import AnytimeNetwork


@dataclass(frozen=True, eq=False)
class EarlyExitPrediction:
    """Answers for N images, in the order in which the images came.

    Attributes:
        exit: The exit that answered each image, from 1; int64 [N].
        logits: Of that exit, [N, classes].
        probabilities: Softmax of the logits over that exit's temperature, [N, classes].
        macs: Multiply-adds spent on each image: its segments, and all heads that it has passed; int64 [N].
    """

    exit: Tensor
    logits: Tensor = field(repr=False)
    probabilities: Tensor = field(repr=False)
    macs: Tensor = field(repr=False)

    @property
    def mean_macs(self) -> float:
        """Multiply-adds per image."""
        return self.macs.double().mean().item()


class EarlyExit:
    """A trained network in which each image of a batch leaves at the first exit that is sure of it.

    Confidence is the largest probability. An image whose confidence is at least the exit's threshold leaves with that
    exit's answer; the batch shrinks to the others before the next segment. The last exit answers what is left. Labels
    play no part. The answer for an image does not depend on its batch, beyond rounding.

    The network is put into evaluation mode and into the layout channels_last, and stays so; it is not copied. Where
    training is to go on, give it a copy: a changed layout does not fit the state that an optimiser has made. In an
    :class:`EANN`, exits that are not adopted are never run and never answer. Adoption is read once, here. ``K`` counts
    the exits that answer.

    Args:
        net: The network, on its device.
        thresholds: For each exit that answers but the last, [K - 1], or one number for all of them: 0 lets every image
            leave, infinity none. See :func:`fit_thresholds` for a budget, and
            :func:`fit_non_inferior_thresholds` for an error.
        temperatures: Divisor of each exit's logits, [K], or one number for all; 1 by default. The same that the
            thresholds were fitted with. See :func:`fit_temperatures`.

    Attributes:
        net: As given.
        exits: The exits that answer, numbered from 1, [K].

    Raises:
        InputError: thresholds or temperatures that cannot be used.

    Source: Huang et al. 2018 (MSDNet), budgeted batch classification; temperatures as Guo et al. 2017.
    """

    def __init__(
        self,
        net: AnytimeNetwork,
        thresholds: float | Sequence[float] | npt.NDArray[np.floating],
        temperatures: float | Sequence[float] | npt.NDArray[np.floating] | None = None,
    ) -> None:
        self.net = net.eval().to(memory_format=torch.channels_last)
        self._steps = find_steps(net)
        self.exits = tuple(step.exit for step in self._steps)
        self._thresholds = checked_thresholds(thresholds, len(self.exits)).tolist()
        self._temperatures = checked_temperatures(temperatures, len(self.exits)).tolist()
        self._like = next(net.parameters(), torch.empty(0))
        self._costs: dict[tuple[int, int, int], tuple[int, ...]] = {}

    def predict(self, images: Tensor) -> EarlyExitPrediction:
        """Answer each image at the first exit that is sure of it.

        On a GPU every exit waits for the device, to learn how many images are left.

        Args:
            images: Normalised images [N, C, H, W], of the network's dtype and on its device.

        Raises:
            InputError: images that cannot be used; or a state of the network that is not made of tensors [N, ...].
        """
        with torch.inference_mode():
            costs = self._checked(images)
            places = torch.arange(len(images), device=images.device)  # in the input, of the images still in the batch
            state: Any = images
            done = []
            for position, step in enumerate(self._steps):
                if position and position == step.member_start:  # the next member of an EANN starts on images again
                    state = images[places]
                for segment in step.segments:
                    state = segment(state)
                logits = step.head(state)
                if len(logits) != len(places):
                    raise InputError(f"exit {step.exit}: expected logits of {len(places)} images, found {len(logits)}")
                probabilities = softmax_at(logits.float(), self._temperatures[position])
                if position == len(self._thresholds):  # the last exit answers what is left
                    number = len(places)
                else:
                    leaves = probabilities.amax(-1) >= self._thresholds[position]
                    number = int(leaves.sum())  # on a GPU this waits for the device
                if number == 0:
                    continue
                exit_and_macs = torch.tensor([step.exit, costs[position]], device=places.device).expand(number, 2)
                if number == len(places):
                    done.append((places, exit_and_macs, logits, probabilities))
                    break
                done.append((places[leaves], exit_and_macs, logits[leaves], probabilities[leaves]))
                stays = (~leaves).nonzero()[:, 0]
                state = _rows(state, stays, len(places), step.exit)
                places = places[stays]
            came, *answers = (torch.cat(parts) for parts in zip(*done, strict=True))
            order = came.argsort()
            exit_and_macs, logits, probabilities = (answer[order] for answer in answers)
            return EarlyExitPrediction(exit_and_macs[:, 0], logits, probabilities, exit_and_macs[:, 1])

    def _checked(self, images: Tensor) -> tuple[int, ...]:
        """Refuse images that would give an error from the depth of PyTorch, or a wrong answer; costs by step."""
        refuse_bad_shape(images, self._like)
        refuse_bad_pixels(images)
        if self.net.training:  # somebody has trained on: batch norm would answer by batch
            self.net.eval()
        _, channels, height, width = images.shape
        shape = channels, height, width
        if shape not in self._costs:
            self._costs[shape] = answer_costs(self.net, shape)
        return self._costs[shape]


def answer_costs(net: AnytimeNetwork, image_shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Multiply-adds of an image that leaves at each of the K exits that answer, all heads on the way paid; [K].

    These are ``exit_costs(net, image_shape).macs_cumulative``; in an EANN, heads that are not adopted are not paid.

    Raises:
        InputError: the network does not take images of this shape (C, H, W).
    """
    with torch.inference_mode(mode=False):  # the count makes a copy, which may outlive this call
        return step_costs(net, image_shape).streamed


def checked_thresholds(
    thresholds: float | Sequence[float] | npt.NDArray[np.floating], count: int
) -> npt.NDArray[np.float32]:
    """One threshold for each of ``count`` exits but the last, float32 as confidences are.

    Raises:
        InputError: unless they are 0 or more.
    """
    try:
        found = np.asarray(thresholds, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"thresholds: expected numbers, found {thresholds!r}") from None
    if found.shape not in ((), (count - 1,)):
        raise InputError(
            f"thresholds: expected one, or one for each of {count} exits but the last, found shape {found.shape}"
        )
    if not (found >= 0).all():  # NaN is refused too
        raise InputError(f"thresholds: expected 0 or more, found {found.tolist()}")
    return np.broadcast_to(found, (count - 1,))


def _rows(state: Any, rows: Tensor, number: int, exit: int) -> Any:
    """The same state for some of its images; a tensor, or tensors nested in lists, tuples and dicts."""

    def chosen(x: Tensor) -> Tensor:
        if x.ndim == 0 or len(x) != number:
            raise InputError(
                f"state after exit {exit}: expected tensors [{number}, ...], a row per image, "
                f"found shape {list(x.shape)}: this network cannot shrink its batch"
            )
        return x[rows]  # keeps channels_last, which index_select does not

    return tree_map_only(Tensor, chosen, state)
