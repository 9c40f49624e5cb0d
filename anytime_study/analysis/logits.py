"""What logits of all exits on a test set tell: answers that change, calibration, and the price of early exit.

Logits are [K, N, classes] and labels [N], as :func:`anytime_core.inference.logits.exit_logits` gives them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch.nn.functional import cross_entropy

from anytime_core.inference.calibration import expected_calibration_error, fit_temperatures
from anytime_core.inference.logits import checked_labels, checked_logits
from anytime_core.inference.thresholds import confidences, exits_taken, fit_thresholds


def answer_changes(logits: Any, labels: Any) -> dict[str, float]:
    """How the answers change from exit to exit, image by image; shares of all images, from 0 to 1.

    Source: Kaya et al. 2019 ("Shallow-Deep Networks") for overthinking.

    Returns:
        ``overthinking``: right at some earlier exit, and wrong at the last one; ``never_right``: wrong at every exit,
        the error that no rule of exit can go below.

    Raises:
        InputError: logits or labels that cannot be used.
    """
    found = checked_logits(logits)
    right = (found.argmax(-1) == checked_labels(labels, found)).numpy()  # [K, N]
    return {
        "overthinking": float((right.any(0) & ~right[-1]).mean()),
        "never_right": float((~right.any(0)).mean()),
    }


def budgeted_curve(validation: Any, test: Any, labels: Any, costs: Any, *, budgets: int = 40) -> pd.DataFrame:
    """Test error over mean cost with early exit, beside that of the anytime network that stops for all at one exit.

    Args:
        validation: Logits that the thresholds are fitted on.
        test: Logits.
        labels: Of the test images; they serve to count errors alone.
        costs: Multiply-adds up to each exit, [K].
        budgets: How many, evenly from the first exit's cost to the last one's.

    Returns:
        A row per budget with ``setting`` "budgeted", then a row per exit with ``setting`` "anytime"; ``mean_macs``,
        spent on the test images; and ``error``, from 0 to 1.

    Raises:
        InputError: input that cannot be used.
    """
    found = checked_logits(test, "test")
    wrong = (found.argmax(-1) != checked_labels(labels, found)).numpy()  # [K, N]
    confidence, macs = confidences(found), np.asarray(costs, dtype=float)
    rows = []
    for budget in np.linspace(macs[0], macs[-1], budgets):
        taken = exits_taken(confidence, fit_thresholds(validation, macs, float(budget))).numpy()
        rows.append(("budgeted", macs[taken].mean(), wrong[taken, np.arange(len(taken))].mean()))
    rows += [("anytime", cost, error) for cost, error in zip(macs, wrong.mean(1), strict=True)]
    return pd.DataFrame(rows, columns=["setting", "mean_macs", "error"])


def calibration_table(validation: Any, validation_labels: Any, test: Any, labels: Any) -> pd.DataFrame:
    """Calibration of each exit on test images, before and after a temperature that was fitted on validation images.

    Returns:
        A row per exit, indexed from 1: ``temperature``, ``nll_before``, ``nll_after`` (nats), ``ece_before`` and
        ``ece_after`` (from 0 to 1).

    Raises:
        InputError: logits or labels that cannot be used.
    """
    temperatures = fit_temperatures(validation, validation_labels)
    found = checked_logits(test, "test")
    targets = checked_labels(labels, found)
    columns: dict[str, Any] = {"temperature": temperatures.numpy()}
    for name, divisors in {"before": temperatures.new_ones(len(found)), "after": temperatures}.items():
        scaled = found / divisors.float()[:, None, None]
        columns[f"nll_{name}"] = [cross_entropy(exit, targets).item() for exit in scaled]
        columns[f"ece_{name}"] = expected_calibration_error(found, targets, divisors).numpy()
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(found) + 1, name="exit"))
