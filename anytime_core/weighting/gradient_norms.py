"""How strongly each exit's loss pulls at the network: the length of its gradient."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class GradientNorms:
    """‖∂ℓ_i/∂θ‖ over the parameters that reach exit i, for each i; or its square per parameter, ½‖·‖²/dim θ_(i).

    An offset of a loss does not change its gradient, and a factor on a loss is the same factor on the norm (the squared
    form squares it). This is the scalar of the "first-order" AdaLoss; the squared form is that of the authors' released
    code.

    The price is K backward passes per call. Each one goes through the whole graph if the K losses were computed
    together (a stack of logits), and the graph is kept alive for the objective's own backward pass. A network compiled
    with :func:`torch.compile` gives its buffers away in the first pass; ``torch._functorch.config.donated_buffer =
    False`` makes it keep them.

    No module: the parameters are the network's, neither moved nor saved from here. Copy it with the network or not.

    Args:
        parameters: θ, such as ``net.parameters()``. Those that need no gradient at a call are left out.
        squared: Return ½‖g‖²/dim θ_(i). θ_(i) are the parameter tensors whose gradient is not exactly 0 throughout: in
            a graph of stacked losses, later parameters have a gradient too, one of zeros.
        smallest: ‖g‖ is raised to this, so that an exit at rest is not divided by 0.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, squared: bool = False, smallest: float = 1e-8) -> None:
        self.parameters = tuple(parameters)
        self.squared = squared
        self.smallest = smallest

    @torch.enable_grad()
    def __call__(self, losses: Tensor) -> Tensor:
        """Losses [K] with their graph, which is kept -> [K], detached. No device sync.

        Raises:
            ValueError: a loss depends on none of the parameters.
        """
        precision = torch.promote_types(losses.dtype, torch.float32)
        parameters = [parameter for parameter in self.parameters if parameter.requires_grad]
        values = []
        for number, loss in enumerate(losses.unbind(), start=1):
            reaches = loss.requires_grad and parameters
            found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) if reaches else ()
            gradients = [gradient.detach().to(precision) for gradient in found if gradient is not None]
            if not gradients:
                raise ValueError(f"parameters: expected those of the losses, found none that reaches exit {number}")
            norms = torch.stack(torch._foreach_norm(gradients))  # one per parameter tensor
            value = torch.linalg.vector_norm(norms).clamp(min=self.smallest)
            if self.squared:
                sizes = torch.tensor([gradient.numel() for gradient in gradients], dtype=precision, device="cpu")
                sizes = sizes.to(norms.device, non_blocking=True)  # the host goes on without the device
                dimension = torch.where(norms == 0, 0, sizes).sum().clamp(min=1)
                value = value.square() / (2 * dimension)
            values.append(value)
        return torch.stack(values)
