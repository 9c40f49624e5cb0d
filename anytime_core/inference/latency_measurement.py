"""Measuring a latency table: a predictor is timed as it is used."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.device import device_name
from anytime_core.inference.latency import ExitLatency, LatencyTable, Quantiles, fingerprint
from anytime_core.inference.predictor import AnytimePredictor

_TIMES = ("step", "fixed", "streamed")


def measure_latency(
    predictor: AnytimePredictor, image_shape: tuple[int, int, int], *, batch_size: int = 1, rounds: int = 1000
) -> LatencyTable:
    """Measure a network as it is used, on random images, with PyTorch's present number of CPU threads.

    A round is one ``refine`` to its end and one ``predict(exit=…)`` of every exit. Leave the device alone meanwhile:
    a table made under load keeps deadlines by giving up too early.

    Args:
        predictor: The predictor. Its own table, if it has one, does not matter.
        image_shape: (C, H, W).
        batch_size: N.
        rounds: Measurements of every time, at least 100, so that there is a 99th percentile.

    Raises:
        InputError: images that the network does not take, or too few rounds.
    """
    if rounds < 100:
        raise InputError(f"rounds: expected at least 100, found {rounds}")
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch_size, *image_shape, generator=generator).to(predictor.like)
    predictor.warm_up(images)
    fixed, streamed = [], []
    for _ in range(rounds):
        streamed.append([prediction.elapsed_s for prediction in predictor.refine(images)])
        fixed.append([_timed(predictor, images, exit_number) for exit_number in predictor.exits])
    steps = np.diff(np.array(streamed), axis=1, prepend=0)  # [rounds, steps]
    columns = zip(predictor.exits, steps.T, np.array(fixed).T, np.array(streamed).T, strict=True)
    return LatencyTable(
        network=fingerprint(predictor.net),
        device=device_name(predictor.device),
        threads=torch.get_num_threads(),
        batch_size=batch_size,
        image_shape=image_shape,
        torch=str(torch.__version__),
        rounds=rounds,
        exits=tuple(
            ExitLatency(exit=exit_number, **{key: _quantiles(t) for key, t in zip(_TIMES, times, strict=True)})
            for exit_number, *times in columns
        ),
    )


def _timed(predictor: AnytimePredictor, images: Tensor, exit_number: int) -> float:
    """Seconds of one call as the caller sees them."""
    start = time.perf_counter()
    predictor.predict(images, exit=exit_number)
    return time.perf_counter() - start


def _quantiles(seconds: np.ndarray) -> Quantiles:
    # four significant digits: finer than any clock is steady
    p50, p90, p99 = (float(f"{value:.4g}") for value in np.quantile(seconds, [0.5, 0.9, 0.99]))
    return Quantiles(p50=p50, p90=p90, p99=p99)
