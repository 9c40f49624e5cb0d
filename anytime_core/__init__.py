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
    from anytime_core.datasets import DATASETS, DatasetError, ImageData, ImageStream, fetch, load_dataset, load_folder
    from anytime_core.datasets.augment import random_crop_flip
    from anytime_core.inference.artefacts import ModelCard, TrainedModel, load_model, save_model
    from anytime_core.inference.calibration import calibration_table, expected_calibration_error, fit_temperatures
    from anytime_core.inference.deadlines import deadline_trial
    from anytime_core.inference.early_exit import EarlyExit, EarlyExitPrediction, answer_costs
    from anytime_core.inference.exit_saving import early_exit_saving
    from anytime_core.inference.exit_thresholds import (
        budgeted_curve,
        fit_common_threshold,
        fit_non_inferior_thresholds,
        fit_thresholds,
    )
    from anytime_core.inference.latency import LatencyTable
    from anytime_core.inference.latency_measurement import measure_latency
    from anytime_core.inference.logits import exit_logits
    from anytime_core.inference.monotonicity import answer_changes
    from anytime_core.inference.predictor import AnytimePredictor, Prediction
    from anytime_core.networks.backbone import with_exits
    from anytime_core.networks.base import AnytimeNetwork
    from anytime_core.networks.cost import ExitCosts, exit_costs
    from anytime_core.networks.denseann import DenseANN
    from anytime_core.networks.ensemble import EANN
    from anytime_core.networks.msdnet import MSDNet
    from anytime_core.networks.resann import ResANN
    from anytime_core.runs.config import RunConfig
    from anytime_core.runs.record import RunRecord
    from anytime_core.training.loop import train
    from anytime_core.training.losses import cross_entropy_per_exit
    from anytime_core.weighting.adaptive import AdaLoss
    from anytime_core.weighting.base import LossWeighting

_HOME = {  # public name -> module that defines it
    "AdaLoss": "weighting.adaptive",
    "AnytimeNetwork": "networks.base",
    "AnytimePredictor": "inference.predictor",
    "DATASETS": "datasets",
    "DatasetError": "datasets",
    "DenseANN": "networks.denseann",
    "EANN": "networks.ensemble",
    "EarlyExit": "inference.early_exit",
    "EarlyExitPrediction": "inference.early_exit",
    "ExitCosts": "networks.cost",
    "ImageData": "datasets",
    "ImageStream": "datasets",
    "LatencyTable": "inference.latency",
    "LossWeighting": "weighting.base",
    "MSDNet": "networks.msdnet",
    "ModelCard": "inference.artefacts",
    "Prediction": "inference.predictor",
    "ResANN": "networks.resann",
    "RunConfig": "runs.config",
    "RunRecord": "runs.record",
    "TrainedModel": "inference.artefacts",
    "answer_changes": "inference.monotonicity",
    "answer_costs": "inference.early_exit",
    "budgeted_curve": "inference.exit_thresholds",
    "calibration_table": "inference.calibration",
    "cross_entropy_per_exit": "training.losses",
    "deadline_trial": "inference.deadlines",
    "early_exit_saving": "inference.exit_saving",
    "exit_costs": "networks.cost",
    "exit_logits": "inference.logits",
    "expected_calibration_error": "inference.calibration",
    "fetch": "datasets",
    "fit_common_threshold": "inference.exit_thresholds",
    "fit_non_inferior_thresholds": "inference.exit_thresholds",
    "fit_temperatures": "inference.calibration",
    "fit_thresholds": "inference.exit_thresholds",
    "load_dataset": "datasets",
    "load_folder": "datasets",
    "load_model": "inference.artefacts",
    "measure_latency": "inference.latency_measurement",
    "random_crop_flip": "datasets.augment",
    "save_model": "inference.artefacts",
    "train": "training.loop",
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
