"""Cross-entropy of every exit in one call."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy_per_exit(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy, in nats, of each exit over the batch.

    One call over K·N rows instead of K calls: small networks spend their time starting kernels, not running them.

    Args:
        logits: [K, N, num_classes], all exits on the same batch.
        labels: Class indices: [N], the same for all exits, or [N, K], one for each exit of a network whose exits have
            different tasks.
        label_smoothing: The share of the target, from 0 to 1, that is spread evenly over all classes. Above 0 no loss
            reaches 0.

    Returns:
        [K], the ℓ_i that a weighting takes.

    Raises:
        ValueError: the shapes do not fit together.
    """
    if logits.ndim != 3 or labels.shape not in (logits.shape[1:2], logits.shape[:2][::-1]):
        raise ValueError(
            f"expected logits [K, N, num_classes] and labels [N] or [N, K], "
            f"found {list(logits.shape)} and {list(labels.shape)}"
        )
    exits, samples, _ = logits.shape
    targets = labels.repeat(exits) if labels.ndim == 1 else labels.T.flatten()  # [K * N]
    losses = F.cross_entropy(logits.flatten(0, 1), targets, reduction="none", label_smoothing=label_smoothing)
    return losses.view(exits, samples).mean(1)
