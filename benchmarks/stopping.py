"""Rows about stopping a trained network: the price of each exit, and leaving when an exit is sure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from anytime_core import AnytimePredictor
from anytime_core.costs import exit_costs
from anytime_core.inference.early_exit import EarlyExit, answer_costs
from anytime_core.inference.logits import exit_logits
from anytime_core.inference.thresholds import fit_non_inferior_thresholds
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.analysis.logits import answer_changes, budgeted_curve, calibration_table
from anytime_study.datasets.images import ImageData
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.artefacts import load_model
from benchmarks.machine import ROOT, Settings, images_of
from benchmarks.timing import compare, timed

CUT, PREDICT, REFINE = "cut after the exit", "predict(exit=k)", "refine up to k"
LAST, EARLY = "last exit for all", "early exit"
BATCH = 250
CALIBRATION = ["ece_before", "ece_after"]
MODEL = "fashion-mnist-resann-adaloss"  # in data/models


@dataclass(frozen=True)
class Subject:
    """A network under test."""

    text: str  # what it is, for people
    net: AnytimeNetwork  # in evaluation mode
    images: Tensor  # normalised test images [M, C, H, W] on the network's device; answered in turn
    labels: Tensor | None  # [M], on the CPU; None if the network is not trained


def shipped(settings: Settings) -> Subject:
    """The trained network and all test images of its data set; a quick one is not trained, but has labels."""
    data = images_of(settings)
    net = untrained(settings.network, data) if settings.quick else load_model(ROOT / "data" / "models" / MODEL).net
    text = settings.network if settings.quick else MODEL
    return Subject(text, net.eval().to(settings.device), data.normalise(data.test_images), data.test_labels.cpu())


def untrained(text: str, data: ImageData) -> AnytimeNetwork:
    """A network with random weights: they do not change a time."""
    torch.manual_seed(0)
    return NETWORKS.build(text, num_classes=data.card.num_classes, in_channels=data.card.image_shape[0]).eval()


def stopping(settings: Settings) -> dict[str, object]:
    """One comparison per exit; unit ms, batch 1, one thread; a ratio above 1 is what it costs to be able to stop."""
    subject = shipped(settings)
    net, image = subject.net, subject.images[:1]
    predictor = AnytimePredictor(net)
    predictor.warm_up(image)
    found = {}
    for exit_number in range(1, net.num_exits + 1):
        calls: dict[str, Callable[[], object]] = {
            CUT: cut(net, exit_number, image.to(memory_format=torch.channels_last)),
            PREDICT: lambda k=exit_number: predictor.predict(image, exit=k),
            REFINE: lambda k=exit_number: next(islice(predictor.refine(image), k - 1, None)),
        }
        blocks = {name: timed(call, number=settings.pick(20, 2)) for name, call in calls.items()}
        found[f"exit_{exit_number}"] = compare(f"exit {exit_number}", blocks, CUT, settings.pick(60, 2))
    return {"setting": f"{subject.text}, batch 1, fp32", "comparisons": found}


def cut(net: AnytimeNetwork, exit_number: int, image: Tensor) -> Callable[[], Tensor]:
    """Call segments 1 … ``exit_number`` and that head only: no checks, no clock."""
    segments, head = net.segments[:exit_number], net.heads[exit_number - 1]

    def call() -> Tensor:
        with torch.inference_mode():
            state = image
            for segment in segments:
                state = segment(state)
            return head(state)

    return call


def confidence(settings: Settings) -> dict[str, object]:
    """Thresholds and temperatures come from validation images, all numbers from test images."""
    with compute_settings(1, deterministic=False):
        data, subject = images_of(settings), shipped(settings)
        net, shape = subject.net, data.card.image_shape
        validation, validation_labels = exit_logits(net, data.batches("validation"))
        test, labels = exit_logits(net, data.batches("test"))
        costs = answer_costs(net, shape)
        curves = budgeted_curve(validation, test, labels, costs).groupby("setting")[["mean_macs", "error"]]
        calibration = calibration_table(validation, validation_labels, test, labels)
        changes = answer_changes(test, labels)
        early = EarlyExit(net, fit_non_inferior_thresholds(validation, validation_labels, costs))
    images = subject.images[: settings.pick(1000, 100)]
    batches = images.split(BATCH)
    ends = [cut(net, net.num_exits, batch) for batch in batches]
    calls: dict[str, Callable[[], object]] = {
        LAST: lambda: [end() for end in ends],
        EARLY: lambda: [early.predict(batch) for batch in batches],
    }
    blocks = {name: timed(call, number=1) for name, call in calls.items()}
    told = f"{len(batches)} batches of {len(batches[0])} test images"
    return {
        "setting": f"{subject.text}, fp32",
        "comparisons": {"speed": compare(told, blocks, LAST, settings.pick(40, 2), unit="s")},
        "facts": {
            "images": len(labels),
            **changes,
            "macs_early_over_last": early.predict(images).mean_macs / exit_costs(net, shape).macs_fixed[-1],
        },
        "tables": {
            **{str(name): curve.to_dict("list") for name, curve in curves},
            "calibration": calibration[CALIBRATION].to_dict("list"),
        },
    }
