"""A random shift of the light's colour and strength, as photographs vary."""

from __future__ import annotations

import torch

COMPONENTS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
"""Principal components of the colours of ILSVRC's pixels: rows are red, green and blue, columns the components."""

VARIANCES = torch.tensor([0.2175, 0.0188, 0.0045])
"""By which a component's draw is multiplied, where white is 1. Both are the published constants, as everybody uses
them: no pass over a million images is needed."""


class RandomLighting(torch.nn.Module):
    """Add one random colour to all pixels of an image, along the directions in which colours vary.

    Component k is added with the factor α_k λ_k, where α_k is normal with deviation ``deviation`` and λ_k is its
    variance. Draws come from the global random state of the CPU, as those of torchvision's transforms do.

    Source: Krizhevsky, Sutskever and Hinton 2012, section 4.1; part of the recipe of Hu et al. 2019 for ILSVRC.

    Args:
        deviation: Of α.
    """

    def __init__(self, deviation: float = 0.1) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shift an image: uint8 [3, H, W], red, green and blue; levels beyond 0 or 255 are cut."""
        draws = self.deviation * torch.randn(3) * VARIANCES
        shifted = image + 255 * (COMPONENTS @ draws)[:, None, None]
        return shifted.round().clamp(0, 255).to(torch.uint8)
