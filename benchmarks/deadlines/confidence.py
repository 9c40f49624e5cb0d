"""Early exit, calibration and changes of mind of a trained network on its test images."""

from __future__ import annotations

import torch

from anytime_core.costs import exit_costs
from anytime_core.inference.calibration import calibration_table
from anytime_core.inference.early_exit import EarlyExit, answer_costs
from anytime_core.inference.exit_thresholds import budgeted_curve, fit_non_inferior_thresholds
from anytime_core.inference.logits import exit_logits
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.analysis.monotonicity import answer_changes
from anytime_study.datasets.batches import evaluation_batches
from anytime_study.datasets.images import ImageData
from benchmarks.deadlines.report import Calibration, Changes, Confidence, CurvePoint
from benchmarks.ratios import comparison
from benchmarks.reports import Made
from benchmarks.turns import take_turns, timed

LAST, EARLY = "last exit for all", "early exit"
BATCH = 250


def measure_confidence(net: AnytimeNetwork, data: ImageData, made: Made, *, rounds: int, images: int) -> Confidence:
    """Thresholds and temperatures come from validation images, all numbers from test images.

    Args:
        net: Trained, in evaluation mode.
        data: What it was trained on.
        made: For the record.
        rounds: Turns of the measurement of speed.
        images: Test images that it takes; the other numbers take all.
    """
    validation, validation_labels = exit_logits(net, evaluation_batches(data, "validation"))
    test, labels = exit_logits(net, evaluation_batches(data, "test"))
    costs = answer_costs(net, data.card.image_shape)
    curve = budgeted_curve(validation, test, labels, costs)
    changes = answer_changes(test, labels)
    early = EarlyExit(net, fit_non_inferior_thresholds(validation, validation_labels, costs))
    batches = data.normalise(data.test_images[:images]).split(BATCH)

    to_last = exit_costs(net, data.card.image_shape).macs_fixed[-1]
    macs_ratio = early.predict(torch.cat(batches)).mean_macs / to_last

    def with_early_exit() -> None:
        for batch in batches:
            early.predict(batch)

    def to_the_end() -> None:
        with torch.inference_mode():
            for batch in batches:
                state = batch
                for segment in net.segments:
                    state = segment(state)
                net.heads[-1](state)

    blocks = {
        name: timed(call, number=1, threads=1) for name, call in {LAST: to_the_end, EARLY: with_early_exit}.items()
    }
    table = calibration_table(validation, validation_labels, test, labels)
    return Confidence(
        made=made,
        images=len(labels),
        curve=[CurvePoint.model_validate(row) for row in curve.drop(columns="budget_macs").to_dict("records")],
        calibration=[
            Calibration.model_validate({name: row[name] for name in Calibration.model_fields})
            for row in table.to_dict("records")
        ],
        changes=Changes(
            right_to_wrong=changes.right_to_wrong.tolist(),
            wrong_to_right=changes.wrong_to_right.tolist(),
            overthinking=changes.overthinking,
            ever_right_to_wrong=changes.ever_right_to_wrong,
            never_right=changes.never_right,
        ),
        speed=comparison(
            f"{len(batches)} batches of {BATCH} test images",
            "s",
            LAST,
            take_turns(blocks, rounds),
            facts={EARLY: {"macs_ratio": macs_ratio}},
        ),
    )
