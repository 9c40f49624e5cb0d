"""Torchvision's classifiers as networks of the study, by their names."""

from __future__ import annotations

from torchvision import models

from anytime_core import AnytimeNetwork, with_exits
from anytime_core.errors import did_you_mean


def torchvision_with_exits(
    model: str = "resnet18",
    at: tuple[str, ...] = ("layer1", "layer2", "layer3"),
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
) -> AnytimeNetwork:
    """A classifier of torchvision by its name, untrained, with exits after the named modules.

    For trained weights call :func:`with_exits` on the model that has them.

    Args:
        model: A name in ``torchvision.models.list_models(torchvision.models)``.
        at: Names of its modules; see :func:`with_exits`.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images; torchvision's models take 3.

    Raises:
        ValueError: No such model or module, or images of another number of channels.
    """
    known = models.list_models(models)
    if model not in known:
        raise ValueError(f"model: expected a classifier of torchvision, found {model!r}{did_you_mean(model, known)}")
    if in_channels != 3:
        raise ValueError(f"in_channels: expected 3, which torchvision's models take, found {in_channels}")
    return with_exits(models.get_model(model, weights=None, num_classes=num_classes), at)
