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
    from anytime_core.costs import ExitCosts, exit_costs
    from anytime_core.errors import InputError
    from anytime_core.inference.calibration import expected_calibration_error, fit_temperatures
    from anytime_core.inference.early_exit import EarlyExit, EarlyExitPrediction, answer_costs
    from anytime_core.inference.export import export_onnx
    from anytime_core.inference.generation import Decoding, generate
    from anytime_core.inference.latency import LatencyTable, find_table, measure_latency
    from anytime_core.inference.logits import exit_logits
    from anytime_core.inference.predictor import AnytimePredictor, Prediction
    from anytime_core.inference.saving import ModelCard, load_model, save_model
    from anytime_core.inference.thresholds import fit_non_inferior_thresholds, fit_thresholds
    from anytime_core.losses import cross_entropy_per_exit
    from anytime_core.networks.backbone import with_exits
    from anytime_core.networks.base import AnytimeNetwork
    from anytime_core.networks.decoder import decoder_with_exits
    from anytime_core.networks.denseann import DenseANN
    from anytime_core.networks.ensemble import EANN
    from anytime_core.networks.msdnet import MSDNet
    from anytime_core.networks.resann import ResANN
    from anytime_core.weighting.adaloss import AdaLoss
    from anytime_core.weighting.base import BadLoss, LossWeighting
    from anytime_core.weighting.gradient_norms import GradientNorms
    from anytime_core.weighting.static import const, half_end, linear, opt, sieve

_NAMES = {  # module -> public names that it defines
    "costs": ("ExitCosts", "exit_costs"),
    "errors": ("InputError",),
    "inference.calibration": ("expected_calibration_error", "fit_temperatures"),
    "inference.early_exit": ("EarlyExit", "EarlyExitPrediction", "answer_costs"),
    "inference.export": ("export_onnx",),
    "inference.generation": ("Decoding", "generate"),
    "inference.latency": ("LatencyTable", "find_table", "measure_latency"),
    "inference.logits": ("exit_logits",),
    "inference.predictor": ("AnytimePredictor", "Prediction"),
    "inference.saving": ("ModelCard", "load_model", "save_model"),
    "inference.thresholds": ("fit_non_inferior_thresholds", "fit_thresholds"),
    "losses": ("cross_entropy_per_exit",),
    "networks.backbone": ("with_exits",),
    "networks.base": ("AnytimeNetwork",),
    "networks.decoder": ("decoder_with_exits",),
    "networks.denseann": ("DenseANN",),
    "networks.ensemble": ("EANN",),
    "networks.msdnet": ("MSDNet",),
    "networks.resann": ("ResANN",),
    "weighting.adaloss": ("AdaLoss",),
    "weighting.base": ("BadLoss", "LossWeighting"),
    "weighting.gradient_norms": ("GradientNorms",),
    "weighting.static": ("const", "half_end", "linear", "opt", "sieve"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "EANN",
    "AdaLoss",
    "AnytimeNetwork",
    "AnytimePredictor",
    "BadLoss",
    "Decoding",
    "DenseANN",
    "EarlyExit",
    "EarlyExitPrediction",
    "ExitCosts",
    "GradientNorms",
    "InputError",
    "LatencyTable",
    "LossWeighting",
    "MSDNet",
    "ModelCard",
    "Prediction",
    "ResANN",
    "__version__",
    "answer_costs",
    "const",
    "cross_entropy_per_exit",
    "decoder_with_exits",
    "exit_costs",
    "exit_logits",
    "expected_calibration_error",
    "export_onnx",
    "find_table",
    "fit_non_inferior_thresholds",
    "fit_temperatures",
    "fit_thresholds",
    "generate",
    "half_end",
    "linear",
    "load_model",
    "measure_latency",
    "opt",
    "save_model",
    "sieve",
    "with_exits",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name in _HOME:
        return getattr(import_module(f"anytime_core.{_HOME[name]}"), name)
    raise AttributeError(f"module 'anytime_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
