"""Anytime neural networks with adaptive loss balancing.

The package behind a reproducible study of Hu, Dey, Hebert and Bagnell, "Learning Anytime Predictions in Neural Networks
via Adaptive Loss Balancing" (AAAI 2019, arXiv 1708.06832).

    net = ResANN(n=3, c=16, num_classes=10, in_channels=1)
    weigh = AdaLoss(num_exits=net.num_exits)
    losses = cross_entropy_per_exit(net(images), labels)   # [K]
    weigh(losses).backward()

The names below are loaded when they are first used, so ``import anytime_core`` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from anytime_core.artefacts import ModelCard, TrainedModel, load_model, save_model
    from anytime_core.augment import random_crop_flip
    from anytime_core.calibration import calibration_table, expected_calibration_error, fit_temperatures
    from anytime_core.config import RunConfig
    from anytime_core.cost import ExitCosts, exit_costs
    from anytime_core.datasets import DATASETS, DatasetError, ImageData, ImageStream, fetch, load_dataset, load_folder
    from anytime_core.deadlines import deadline_trial
    from anytime_core.early_exit import EarlyExit, EarlyExitPrediction, answer_costs
    from anytime_core.exit_saving import early_exit_saving
    from anytime_core.exit_thresholds import (
        budgeted_curve,
        fit_common_threshold,
        fit_non_inferior_thresholds,
        fit_thresholds,
    )
    from anytime_core.inference import AnytimePredictor, Prediction
    from anytime_core.latency import LatencyTable, measure_latency
    from anytime_core.logits import exit_logits
    from anytime_core.losses import cross_entropy_per_exit
    from anytime_core.monotonicity import answer_changes
    from anytime_core.networks.backbone import with_exits
    from anytime_core.networks.base import AnytimeNetwork
    from anytime_core.networks.denseann import DenseANN
    from anytime_core.networks.ensemble import EANN
    from anytime_core.networks.msdnet import MSDNet
    from anytime_core.networks.resann import ResANN
    from anytime_core.records import RunRecord
    from anytime_core.training import train
    from anytime_core.weighting.adaptive import AdaLoss
    from anytime_core.weighting.base import LossWeighting

_HOME = {  # public name -> module that defines it
    "AdaLoss": "weighting.adaptive",
    "AnytimeNetwork": "networks.base",
    "AnytimePredictor": "inference",
    "DATASETS": "datasets",
    "DatasetError": "datasets",
    "DenseANN": "networks.denseann",
    "EANN": "networks.ensemble",
    "EarlyExit": "early_exit",
    "EarlyExitPrediction": "early_exit",
    "ExitCosts": "cost",
    "ImageData": "datasets",
    "ImageStream": "datasets",
    "LatencyTable": "latency",
    "LossWeighting": "weighting.base",
    "MSDNet": "networks.msdnet",
    "ModelCard": "artefacts",
    "Prediction": "inference",
    "ResANN": "networks.resann",
    "RunConfig": "config",
    "RunRecord": "records",
    "TrainedModel": "artefacts",
    "answer_changes": "monotonicity",
    "answer_costs": "early_exit",
    "budgeted_curve": "exit_thresholds",
    "calibration_table": "calibration",
    "cross_entropy_per_exit": "losses",
    "deadline_trial": "deadlines",
    "early_exit_saving": "exit_saving",
    "exit_costs": "cost",
    "exit_logits": "logits",
    "expected_calibration_error": "calibration",
    "fetch": "datasets",
    "fit_common_threshold": "exit_thresholds",
    "fit_non_inferior_thresholds": "exit_thresholds",
    "fit_temperatures": "calibration",
    "fit_thresholds": "exit_thresholds",
    "load_dataset": "datasets",
    "load_folder": "datasets",
    "load_model": "artefacts",
    "measure_latency": "latency",
    "random_crop_flip": "augment",
    "save_model": "artefacts",
    "train": "training",
    "with_exits": "networks.backbone",
}

__all__ = [
    "DATASETS",
    "EANN",
    "AdaLoss",
    "AnytimeNetwork",
    "AnytimePredictor",
    "DatasetError",
    "DenseANN",
    "EarlyExit",
    "EarlyExitPrediction",
    "ExitCosts",
    "ImageData",
    "ImageStream",
    "LatencyTable",
    "LossWeighting",
    "MSDNet",
    "ModelCard",
    "Prediction",
    "ResANN",
    "RunConfig",
    "RunRecord",
    "TrainedModel",
    "__version__",
    "answer_changes",
    "answer_costs",
    "budgeted_curve",
    "calibration_table",
    "cross_entropy_per_exit",
    "deadline_trial",
    "early_exit_saving",
    "exit_costs",
    "exit_logits",
    "expected_calibration_error",
    "fetch",
    "fit_common_threshold",
    "fit_non_inferior_thresholds",
    "fit_temperatures",
    "fit_thresholds",
    "load_dataset",
    "load_folder",
    "load_model",
    "measure_latency",
    "random_crop_flip",
    "save_model",
    "train",
    "with_exits",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name in _HOME:
        return getattr(import_module(f"anytime_core.{_HOME[name]}"), name)
    raise AttributeError(f"module 'anytime_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
