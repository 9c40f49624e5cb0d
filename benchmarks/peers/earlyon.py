"""The package earlyon and this library on one trained network: its losses, thresholds, routing and export.

Every exit has the same logits in both; what differs is what is done with them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime
import torch
from torch import Tensor, nn

from anytime_core import AdaLoss, EarlyExit, LossWeighting, const, cross_entropy_per_exit, exit_logits, export_onnx
from anytime_core.inference.early_exit import answer_costs
from anytime_core.inference.onnx_runner import OnnxRunner
from anytime_core.inference.thresholds import confidences, exits_taken, fit_non_inferior_thresholds
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.foundations.torch_state import compute_settings
from benchmarks.machine import Settings, images_of
from benchmarks.peers import Absent
from benchmarks.report import Comparison
from benchmarks.stopping import BATCH, shipped
from benchmarks.timing import compare, timed

try:
    from earlyon import EarlyExitConfig, EarlyExitWrapper, ExitPoint  # ty: ignore[import-not-found]
    from earlyon.core.thresholds import calibrate_thresholds  # ty: ignore[import-not-found]
    from earlyon.onnx import export_to_onnx  # ty: ignore[import-not-found]
    from earlyon.training.losses import weighted_multi_exit_loss  # ty: ignore[import-not-found]
except ImportError:
    raise Absent("expected the package earlyon, found none; `pip install earlyon` installs it") from None

OURS, THEIRS = "library", "earlyon"


def wrapped(net: AnytimeNetwork, image: Tensor, classes: int) -> EarlyExitWrapper:
    """A copy of the network as earlyon has it: a row of segments with the last head, and hooks for the other heads."""
    net = deepcopy(net)
    names = [f"segment_{place}" for place in range(1, net.num_exits + 1)]
    backbone = nn.Sequential(OrderedDict([*zip(names, net.segments, strict=True), ("last_head", net.heads[-1])]))
    places = [ExitPoint(f"exit_{place}", name, 1) for place, name in enumerate(names[:-1], start=1)]
    heads = {place.name: head for place, head in zip(places, net.heads, strict=False)}
    config = EarlyExitConfig(backbone="custom", num_classes=classes, exit_points=places)
    return EarlyExitWrapper(backbone, heads, nn.Identity(), config, tuple(image.shape)).eval()


def earlyon(settings: Settings) -> dict[str, object]:
    """All on one thread; units ms or s, so a ratio below 1 is faster than earlyon. Thresholds are fitted by both."""
    with compute_settings(1, deterministic=False):
        data, subject = images_of(settings), shipped(settings)
        net, images = subject.net, subject.images[: settings.pick(1000, 50)]
        theirs = wrapped(net, images[:1], data.card.num_classes)
        batches = list(data.batches("validation"))
        validation, labels = exit_logits(net, batches)
        test, test_labels = exit_logits(net, data.batches("test"))
        costs = answer_costs(net, data.card.image_shape)
        calibrate_thresholds(theirs, batches, target_accuracy_drop=0.0)
        config = theirs.config
        fitted = {
            OURS: fit_non_inferior_thresholds(validation, labels, costs),
            THEIRS: torch.tensor(config.confidence_thresholds).where(torch.tensor(config.enabled_exits), math.inf),
            "last exit": torch.full((net.num_exits - 1,), math.inf),
        }
        rows = torch.arange(len(test_labels))
        outcomes: dict[str, list[float]] = {"mean_macs": [], "error": []}
        for thresholds in fitted.values():
            taken = exits_taken(confidences(test), thresholds)
            outcomes["mean_macs"].append(torch.tensor(costs, dtype=torch.float64)[taken].mean().item())
            outcomes["error"].append((test[taken, rows].argmax(-1) != test_labels).double().mean().item())
        compared, early = {}, EarlyExit(net, fitted[THEIRS])
        compared["losses"], difference = losses(settings, test, test_labels)
        compared["batches"] = routing(settings, images.split(BATCH), theirs.forward_inference_batched, early)
        compared["singles"] = routing(settings, images[:100].split(1), theirs, early)
        compared["export"] = exported(settings, theirs, net, images[:1])
    return {
        "setting": f"{subject.text}, fp32, earlyon {version('earlyon')}",
        "comparisons": compared,
        "facts": {"images": len(rows), "gradient_difference": difference},
        "tables": {"thresholds": outcomes},  # by library, earlyon, last exit
    }


def losses(settings: Settings, test: Tensor, test_labels: Tensor) -> tuple[Comparison, float]:
    """A batch's losses and their gradient; and by how much the gradients differ at most, with equal weights."""
    logits, labels = test[:, :128].clone().requires_grad_(), test_labels[:128]
    exits = len(logits)

    def gradient(objective: Tensor) -> Tensor:
        return torch.autograd.grad(objective, logits)[0]

    def weighed(weigh: LossWeighting) -> Tensor:
        return gradient(weigh(cross_entropy_per_exit(logits, labels)))

    def summed() -> Tensor:
        return gradient(weighted_multi_exit_loss(list(logits), labels, [1.0] * exits))

    calls = {THEIRS: summed, OURS: partial(weighed, AdaLoss(exits))}
    blocks = {name: timed(call, number=settings.pick(50, 2)) for name, call in calls.items()}
    difference = (summed() - weighed(const(exits))).abs().max().item()
    return compare("losses of a batch", blocks, THEIRS, settings.pick(20, 1)), difference


def routing(
    settings: Settings, parts: Sequence[Tensor], theirs: Callable[[Tensor], object], ours: EarlyExit
) -> Comparison:
    """Answers under the same thresholds; of a batch, earlyon lets all images leave together."""
    calls = {THEIRS: lambda: [theirs(part) for part in parts], OURS: lambda: [ours.predict(part) for part in parts]}
    blocks = {name: timed(call, number=1) for name, call in calls.items()}
    return compare("images with thresholds", blocks, THEIRS, settings.pick(10, 1), unit="s")


def exported(settings: Settings, theirs: EarlyExitWrapper, net: AnytimeNetwork, image: Tensor) -> Comparison:
    """Both in ONNX Runtime, to the first answer and to all of them; earlyon's one file always computes all."""
    given = image.numpy()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "earlyon.onnx"
        export_to_onnx(theirs, path, tuple(image.shape))
        export_onnx(net, image, Path(folder) / "steps")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        runner = OnnxRunner(Path(folder) / "steps")
    calls = {
        THEIRS: lambda: session.run(None, {"input": given}),
        "library, first exit": lambda: next(runner.refine(given)),
        "library, all exits": lambda: list(runner.refine(given)),
    }
    blocks = {name: timed(call, number=settings.pick(50, 2)) for name, call in calls.items()}
    return compare("ONNX Runtime", blocks, THEIRS, settings.pick(20, 1))
