"""Saved models of the study: the card also says which data set, which run and which text of a config made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import anytime_core
from anytime_core.inference import saving
from anytime_core.inference.saving import ModelCard, SavedModel
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.datasets.images import ImageData
from anytime_study.runs.registries import NETWORKS


def model_card(text: str, data: ImageData, about: dict[str, Any]) -> ModelCard:
    """The card of a network that a config names.

    Args:
        text: As in the config, such as ``resann(n=3, c=16)``; kept in ``about`` as ``network``.
        data: What it was trained on.
        about: What else to tell: ``dataset``, and ``record``, the name of the run's record.
    """
    spec = NETWORKS.parse(text)
    options = {**spec.options, **data.card.network_options}
    constructor = NETWORKS.constructor(spec.name)
    public = getattr(anytime_core, getattr(constructor, "__name__", ""), None) is constructor  # load_model knows it
    return ModelCard(
        constructor.__name__ if public else spec.name,
        options,
        data.class_names,
        data.card.image_shape,
        mean=tuple(data.mean.tolist()),
        std=tuple(data.std.tolist()),
        about={"network": text, **about},
    )


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
