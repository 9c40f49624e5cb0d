"""The command ``anytime predict``: one image, one saved model, one limit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from anytime_core.errors import InputError
from anytime_core.inference.latency import find_table
from anytime_core.inference.latency_measurement import measure_latency
from anytime_core.inference.predictor import AnytimePredictor, Prediction
from anytime_study.datasets.image_files import load_image
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.training.artefacts import add_latency, load_model

_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


@dataclass(frozen=True)
class Limits:
    """What a user asked for; see :meth:`AnytimePredictor.predict`. ``deadline`` is a text such as ``2ms``."""

    deadline: str | None = None
    exit: int | None = None
    macs: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class FilePrediction:
    """An answer for one image file.

    Attributes:
        class_name: The class with the largest probability.
        probability: Its probability.
        num_exits: K.
        prediction: All of the answer.
        note: For people, about times; empty if there is nothing to say.
    """

    class_name: str
    probability: float
    num_exits: int
    prediction: Prediction
    note: str

    def lines(self) -> list[str]:
        """The answer for people."""
        took = f"{1000 * self.prediction.elapsed_s:.3g} ms"
        return [
            f"class        {self.class_name}",
            f"probability  {self.probability:.4f}",
            f"exit         {self.prediction.exit} of {self.num_exits}",
            f"MACs         {self.prediction.macs}",
            f"elapsed      {took}{', late: after the deadline' if self.prediction.late else ''}",
        ]


def predict_file(
    image: Path, model: Path, limits: Limits, *, threads: int = 1, measure: bool = False
) -> FilePrediction:
    """Answer for one image file under one limit. Loading and a few warm-up answers come before the clock.

    Args:
        image: The file; see :func:`load_image`.
        model: Folder of a saved model.
        limits: Exactly one limit.
        threads: CPU threads.
        measure: Measure this device first, and keep the table in the model's card.

    Raises:
        InputError: an image, a model or a limit that cannot be used.
        OSError: with ``measure``: the card cannot be written.
    """

    deadline = None if limits.deadline is None else parse_seconds(limits.deadline)
    if threads < 1:
        raise InputError(f"threads: expected at least 1, found {threads}")
    net, card = load_model(model)
    pixels = load_image(image, card.image_shape)
    with compute_settings(threads, deterministic=False):
        predictor = AnytimePredictor(net, card.image_shape)
        if measure:
            card = add_latency(model, measure_latency(predictor, card.image_shape))
        table = find_table(card.latency, net, predictor.device, pixels.shape)
        if table is not None:
            predictor = AnytimePredictor(net, card.image_shape, table)
        images = card.normalise(pixels)
        predictor.warm_up(images)
        prediction = predictor.predict(
            images, deadline=deadline, exit=limits.exit, macs=limits.macs, confidence=limits.confidence
        )
    note = ""
    if deadline is not None and table is None:
        note = f"no latency table of this device with {threads} threads in {model}: --measure makes one"
    best = int(prediction.probabilities[0].argmax())
    probability = float(prediction.probabilities[0, best])
    return FilePrediction(card.class_names[best], probability, net.num_exits, prediction, note)


def parse_seconds(text: str) -> float:
    """Seconds of a text such as ``2ms``, ``500us``, ``0.002s`` or ``0.002``.

    Raises:
        InputError: it is no such text, or not above 0.
    """
    found = re.fullmatch(r"\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)\s*(s|ms|us|µs|)\s*", text)
    try:
        seconds = float(found[1]) * _UNITS[found[2]] if found else math.nan
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise InputError(f"deadline: expected a time above 0 such as 2ms, 0.002s or 0.002 (seconds), found {text!r}")
    return seconds
