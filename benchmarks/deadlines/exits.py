"""The price of being able to stop: each exit by the predictor, against a network that ends there."""

from __future__ import annotations

from itertools import islice

import torch

from anytime_core.inference.predictor import AnytimePredictor
from anytime_core.networks.base import AnytimeNetwork
from benchmarks.ratios import comparison
from benchmarks.results import Comparison
from benchmarks.rows.streaming import CUT, cut
from benchmarks.turns import sandwiched, timed

PREDICT, REFINE = "predict(exit=k)", "refine up to k"


def compare_exits(net: AnytimeNetwork, image: torch.Tensor, *, rounds: int, number: int) -> list[Comparison]:
    """One comparison per exit, in ms, batch 1, one thread; each contender stands between two turns of the cut network.

    Args:
        net: In evaluation mode.
        image: Normalised, [1, C, H, W].
        rounds: Turns of each.
        number: Calls per turn.
    """
    predictor = AnytimePredictor(net, (image.shape[1], image.shape[2], image.shape[3]))
    predictor.warm_up(image)
    plain = image.to(memory_format=torch.channels_last)
    found = []
    for exit_number in range(1, net.num_exits + 1):
        calls = {
            PREDICT: lambda k=exit_number: predictor.predict(image, exit=k),
            REFINE: lambda k=exit_number: next(islice(predictor.refine(image), k - 1, None)),
        }
        blocks = {name: timed(call, number=number, threads=1) for name, call in calls.items()}
        pairs = sandwiched(timed(cut(net, exit_number, plain), number=number, threads=1), blocks, rounds)
        values = {name: [1000 * own for own, _ in each] for name, each in pairs.items()}
        beside = {name: [1000 * other for _, other in each] for name, each in pairs.items()}
        found.append(comparison(f"exit {exit_number}", "ms", CUT, {CUT: beside[PREDICT], **values}, beside=beside))
    return found
