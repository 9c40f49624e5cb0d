"""The command ``anytime predict``: images, one saved model, one limit."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from json import dumps
from pathlib import Path
from typing import Any

import torch
import tyro
from tqdm import tqdm

from anytime_core.errors import InputError
from anytime_core.inference.latency import find_table, measure_latency
from anytime_core.inference.predictor import AnytimePredictor, Prediction
from anytime_core.inference.saving import SavedModel
from anytime_study.datasets.image_files import read_image
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.training.artefacts import load_model, save_model

_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def predict(
    images: tyro.conf.Positional[tuple[Path, ...]],
    model: Path,
    deadline: str | None = None,
    exit: int | None = None,
    macs: float | None = None,
    confidence: float | None = None,
    threads: int = 1,
    measure: bool = False,
    json: bool = False,
) -> None:
    """Name what is on images, each under one limit: a deadline, an exit, a budget or a confidence.

    An image is turned upright, made grey or coloured as the network needs, and its middle is scaled to the network's
    size. Its levels stay: the garments of Fashion-MNIST are bright on black, and a dark one on a white background is
    not inverted. The clock starts when the model and the images are loaded and the network has been warmed up.

    Args:
        images: Files of images, such as PNG or JPEG.
        model: Folder of a trained network, as `anytime train --model-dir` writes it.
        deadline: Time for each answer, such as 2ms or 0.002 (seconds).
        exit: Answer at this exit, from 1.
        macs: Multiply-adds for each answer.
        confidence: Stop at the first exit that is as sure, from 0 to 1.
        threads: CPU threads.
        measure: First measure this device, for a minute or less, and keep the times in the model's card.
        json: Print a JSON list with an object per image, with the probabilities of all classes.
    """
    seconds = None if deadline is None else parse_seconds(deadline)
    if not 1 <= threads <= 1024:
        raise InputError(f"threads: expected 1 to 1024, found {threads}")
    saved = load_model(model)
    net, card = saved
    if not images:
        raise InputError("images: expected at least one file, found none")
    if card.input_shape[0] not in (1, 3):
        raise InputError(f"model: expected a network for images of 1 or 3 channels, found {card.input_shape}")
    pixels = [
        card.normalise(torch.from_numpy(read_image(path, card.input_shape))[None].contiguous()) for path in images
    ]
    with compute_settings(threads, deterministic=False):
        if measure:
            table = measure_latency(AnytimePredictor(net), pixels[0], progress=_rounds)
            card = save_model(model, net, card.with_latency(table))
        table = find_table(card.latency, net, pixels[0])
        predictor = AnytimePredictor(net, table)
        predictor.warm_up(pixels[0])
        answers = [
            _answer(
                path, saved, predictor.predict(image, deadline=seconds, exit=exit, macs=macs, confidence=confidence)
            )
            for path, image in zip(images, pixels, strict=True)
        ]
    if json:
        print(dumps(answers, indent=1, ensure_ascii=False))
    else:
        print("\n\n".join(_shown(answer, titled=len(answers) > 1) for answer in answers))
    if deadline is not None and table is None:
        note = f"no latency table of this device with {threads} threads in {model}: --measure makes one"
        print(f"anytime: {note}", file=sys.stderr)


def _answer(path: Path, model: SavedModel, prediction: Prediction) -> dict[str, Any]:
    """What a network says about one image; the probabilities of all classes fall."""
    probabilities, classes = prediction.probabilities[0].sort(descending=True)
    if len(classes) != len(model.card.class_names):
        raise InputError(f"model: expected {len(classes)} class_names in its card, found {len(model.card.class_names)}")
    by_name = {model.card.class_names[c]: float(p) for c, p in zip(classes.tolist(), probabilities, strict=True)}
    class_name, probability = next(iter(by_name.items()))
    return {
        "image": str(path),
        "class_name": class_name,
        "probability": probability,
        "probabilities": by_name,
        "exit": prediction.exit,
        "num_exits": model.net.num_exits,
        "macs": prediction.macs,
        "elapsed_s": prediction.elapsed_s,
        "late": prediction.late,
    }


def _shown(answer: dict[str, Any], *, titled: bool) -> str:
    lines = {
        "image": answer["image"],
        "class": answer["class_name"],
        "probability": f"{answer['probability']:.4f}",
        "exit": f"{answer['exit']} of {answer['num_exits']}",
        "MACs": answer["macs"],
        "elapsed": f"{1000 * answer['elapsed_s']:.3g} ms{', late: after the deadline' * answer['late']}",
    }
    return "\n".join(f"{name:12} {value}" for name, value in lines.items() if titled or name != "image")


def _rounds(rounds: Iterable[int]) -> Iterable[int]:
    return tqdm(rounds, desc="measuring this device", unit="round", file=sys.stderr, leave=False)


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
