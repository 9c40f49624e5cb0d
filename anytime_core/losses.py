"""Cross-entropy of every exit in one call: small networks spend their time starting kernels, not running them."""

from __future__ import annotations

import torch
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
        [K], the ℓ_i that a weighting takes, in single precision or more.

    Raises:
        ValueError: the shapes do not fit together, or a label is no class and not ``ignore_index`` (a GPU stops at it).
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
    try:
        losses = F.cross_entropy(
            logits.flatten(0, -2),
            targets.flatten(),
            reduction="none",
            ignore_index=-(2**63) if ignore_index is None else ignore_index,  # by default it would be -100
            label_smoothing=label_smoothing,
        )
    except IndexError as error:
        raise ValueError(f"labels: expected 0 to {logits.shape[-1] - 1} or an ignore_index: {error}") from None
    losses = losses.to(torch.promote_types(losses.dtype, torch.float32)).view(exits, -1)
    if ignore_index is None:
        return losses.mean(1)
    return losses.sum(1) / (targets != ignore_index).flatten(1).sum(1)
