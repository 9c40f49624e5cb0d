"""Cross-entropy of every exit in one call."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy_per_exit(
    logits: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Tensor:
    """Mean cross-entropy, in nats, of each exit over the batch.

    One call over K·N rows instead of K calls: small networks spend their time starting kernels, not running them.

    Args:
        logits: [K, N, num_classes], all exits on the same batch; or [K, N, T, num_classes], where each of N sequences
            has T tokens, and so on.
        labels: Class indices: [N] (or [N, T]), the same for all exits, or [N, K], one for each exit of a network whose
            exits have different tasks.
        label_smoothing: The share of the target, from 0 to 1, that is spread evenly over all classes. Above 0 no loss
            reaches 0.
        ignore_index: The class index of padding, which counts neither in the sum nor in the number of a mean. A batch
            of nothing but padding has the loss NaN.

    Returns:
        [K], the ℓ_i that a weighting takes.

    Raises:
        ValueError: the shapes do not fit together.
    """
    exits, *batch, _ = logits.shape if logits.ndim > 2 else (0, 0)
    if list(labels.shape) == batch:
        targets = labels.expand(exits, *batch)
    elif list(labels.shape) == [*batch, exits]:
        targets = labels.movedim(-1, 0)
    else:
        raise ValueError(
            f"expected logits [K, N, num_classes] and labels [N] or [N, K], "
            f"found {list(logits.shape)} and {list(labels.shape)}"
        )
    losses = F.cross_entropy(
        logits.flatten(0, -2),
        targets.flatten(),
        reduction="none",
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    ).view(exits, -1)
    if ignore_index is None:
        return losses.mean(1)
    return losses.sum(1) / (targets != ignore_index).flatten(1).sum(1)
