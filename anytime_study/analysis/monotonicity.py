"""Whether more compute helps each image: answers that turn from right to wrong, and from wrong to right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anytime_core.inference.logits import Labels, Logits, checked_labels, checked_logits


@dataclass(frozen=True, eq=False)
class AnswerChanges:
    """Shares of all images, from 0 to 1.

    Attributes:
        right_to_wrong: From each exit to the next, right at the first and wrong at the second; [K - 1].
        wrong_to_right: The other way round; [K - 1].
        overthinking: Right at some earlier exit, and wrong at the last one.
        ever_right_to_wrong: Right at some exit, and wrong at the next: images for which more is not always better.
        never_right: Wrong at every exit: the error that no rule of exit can go below.
    """

    right_to_wrong: npt.NDArray[np.float64]
    wrong_to_right: npt.NDArray[np.float64]
    overthinking: float
    ever_right_to_wrong: float
    never_right: float


def answer_changes(logits: Logits, labels: Labels) -> AnswerChanges:
    """How the answers change from exit to exit, image by image.

    Source: Kaya et al. 2019 ("Shallow-Deep Networks") for overthinking.

    Args:
        logits: Of all exits, [K, N, classes].
        labels: [N].

    Raises:
        InputError: logits or labels that cannot be used.
    """
    found = checked_logits(logits)
    right = (found.argmax(-1) == checked_labels(labels, found)).numpy()  # [K, N]
    lost, won = right[:-1] & ~right[1:], ~right[:-1] & right[1:]
    return AnswerChanges(
        right_to_wrong=lost.mean(1),
        wrong_to_right=won.mean(1),
        overthinking=float((right.any(0) & ~right[-1]).mean()),
        ever_right_to_wrong=float(lost.any(0).mean()),
        never_right=float((~right.any(0)).mean()),
    )
