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

    Not a module on purpose: the parameters belong to the network. They are neither moved nor saved from here, and a
    copy of this object alone would hold copies that no loss depends on.

    Args:
        parameters: θ, such as ``net.parameters()``. Those that need no gradient are left out.
        squared: Return ½‖g‖²/dim θ_(i). θ_(i) are the parameter tensors whose gradient is not exactly 0 throughout: in
            a graph of stacked losses, later parameters have a gradient too, one of zeros.
        smallest: ‖g‖ is raised to this, so that an exit at rest is not divided by 0.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, squared: bool = False, smallest: float = 1e-8) -> None:
        self.parameters = tuple(parameter for parameter in parameters if parameter.requires_grad)
        self.squared = squared
        self.smallest = smallest

    @torch.enable_grad()
    def __call__(self, losses: Tensor) -> Tensor:
        """Losses [K] with their graph, which is kept -> [K], detached. No device sync.

        Raises:
            ValueError: a loss depends on none of the parameters.
        """
        precision = torch.promote_types(losses.dtype, torch.float32)
        values = []
        for exit_number, loss in enumerate(losses.unbind(), start=1):
            found = (None,) * len(self.parameters)
            if loss.requires_grad and self.parameters:
                found = torch.autograd.grad(loss, self.parameters, retain_graph=True, allow_unused=True)
            gradients = [gradient.detach() for gradient in found if gradient is not None]
            if not gradients:
                raise ValueError(
                    f"parameters: expected those that the losses depend on, found none that reaches exit {exit_number}"
                )
            norms = torch.stack(torch._foreach_norm(gradients)).to(precision)  # one per parameter tensor
            value = torch.linalg.vector_norm(norms).clamp(min=self.smallest)
            if self.squared:
                sizes = torch.tensor([gradient.numel() for gradient in gradients], dtype=precision, device="cpu")
                sizes = sizes.to(norms.device, non_blocking=True)  # the host goes on without the device
                dimension = torch.where(norms == 0, 0, sizes).sum().clamp(min=1)
                value = value.square() / (2 * dimension)
            values.append(value)
        return torch.stack(values)
