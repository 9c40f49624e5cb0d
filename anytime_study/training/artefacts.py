"""Saved models of the study: the card also says which data set, which run and which text of a config made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import anytime_core
from anytime_core.inference import saving
from anytime_core.inference.saving import ModelCard, SavedModel
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.runs.registries import NETWORKS


def model_card(
    text: str, class_names: tuple[str, ...], input_shape: tuple[int, ...], *, about: dict[str, Any], **fields: Any
) -> ModelCard:
    """The card of a network that a config names, such as ``resann(n=3, c=16)``.

    Args:
        text: As in the config; kept in ``about`` as ``network``.
        class_names: Names of the classes 0, 1, ….
        input_shape: (C, H, W).
        about: What else to tell: ``dataset``, and ``record``, the name of the run's record.
        fields: Of :class:`ModelCard`.

    Raises:
        ValueError: a text that names no network.
    """
    spec = NETWORKS.parse(text)
    options = {**spec.options, "num_classes": len(class_names), "in_channels": input_shape[0]}
    constructor = NETWORKS.constructor(spec.name)
    public = getattr(anytime_core, getattr(constructor, "__name__", ""), None) is constructor  # load_model knows it
    name = constructor.__name__ if public else spec.name
    return ModelCard(name, options, class_names, input_shape, about={"network": text, **about}, **fields)


def save_model(folder: Path, net: AnytimeNetwork, card: ModelCard) -> ModelCard:
    """:func:`anytime_core.inference.saving.save_model`, for the study's networks too."""
    return saving.save_model(folder, net, card, build=_built)


def load_model(folder: Path, device: torch.device | str = "cpu") -> SavedModel:
    """:func:`anytime_core.inference.saving.load_model`, for the study's networks too."""
    return saving.load_model(folder, device, build=_built)


def _built(network: str, options: dict[str, Any]) -> AnytimeNetwork:
    if network in NETWORKS.entries:
        with torch.device("meta"):  # no random numbers for weights that are replaced
            return NETWORKS.constructor(network)(**options)
    return saving.library_network(network, options)
