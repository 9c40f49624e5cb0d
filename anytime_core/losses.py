"""Cross-entropy of every exit in one call."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy_per_exit(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of each exit over the batch.

    One call over K·N rows instead of K calls: small networks spend their time starting kernels, not running them.

    Args:
        logits: [K, N, num_classes], all exits on the same batch.
        labels: [N], class indices.

    Returns:
        [K], the ℓ_i that a weighting takes.

    Raises:
        ValueError: the shapes do not fit together.
    """
    if logits.ndim != 3 or labels.shape != logits.shape[1:2]:
        raise ValueError(
            f"expected logits [K, N, num_classes] and labels [N], found {list(logits.shape)} and {list(labels.shape)}"
        )
    exits, samples, _ = logits.shape
    losses = F.cross_entropy(logits.flatten(0, 1), labels.repeat(exits), reduction="none")  # [K * N]
    return losses.view(exits, samples).mean(1)
