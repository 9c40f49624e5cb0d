"""What the book's budget slider shows: answers of trained networks at all exits for a few test images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from anytime_core.errors import InputError
from anytime_core.inference.latency import LatencyTable, fingerprint
from anytime_core.inference.latency_measurement import measure_latency
from anytime_core.inference.predictor import AnytimePredictor
from anytime_study.analysis.monotonicity import answer_changes
from anytime_study.datasets import load_dataset
from anytime_study.datasets.images import ImageData
from anytime_study.foundations.torch_state import compute_settings
from anytime_study.training.artefacts import TrainedModel, load_model

CHANGES = ("overthinking", "ever_right_to_wrong", "never_right")
_STEPS = 40  # of the slider, at least: arrow keys cross it in reasonable time


@dataclass(frozen=True, eq=False)
class ExitAnswers:
    """Answers of one network on N images, as :meth:`~anytime_core.inference.predictor.AnytimePredictor.refine` gives.

    Attributes:
        exits: Numbers of the K exits that answer, from 1.
        macs: Multiply-adds for one image up to each answer, heads passed included, [K].
        probabilities: float32 [K, N, classes].
    """

    exits: tuple[int, ...]
    macs: tuple[int, ...]
    probabilities: npt.NDArray[np.float32]

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The class with the largest probability, [K, N]."""
        return self.probabilities.argmax(-1)


def exit_answers(model: TrainedModel, images: Tensor, *, batch_size: int = 500) -> ExitAnswers:
    """Run a network through all its exits.

    Args:
        model: The network and its card, which says how to normalise.
        images: uint8 [N, C, H, W], N at least 1.
        batch_size: Images at once.

    Raises:
        InputError: images that the network does not take.
    """
    predictor = AnytimePredictor(model.net, model.card.image_shape)
    parts = [list(predictor.refine(model.card.normalise(batch))) for batch in images.split(batch_size)]
    return ExitAnswers(
        exits=predictor.exits,
        macs=tuple(answer.macs for answer in parts[0]),
        probabilities=np.concatenate(
            [np.stack([answer.probabilities.numpy() for answer in part]) for part in parts], 1
        ),
    )


def make_payload(
    folders: Mapping[str, Path], *, test_size: int, disagreeing: int = 6, rounds: int = 0
) -> dict[str, Any]:
    """Run trained networks on the first test images of their data set, on one thread.

    Args:
        folders: Of saved models for the same data set, by the names that readers see.
        test_size: Images.
        disagreeing: See :func:`choose_images`.
        rounds: Measure times on this machine, with as many repetitions; 0 takes the tables of the cards.

    Returns:
        See :func:`slider_payload`.

    Raises:
        InputError: models that cannot be read or do not fit together.
        DatasetError: the images are not there.
    """
    with compute_settings(1, deterministic=False):
        models = {name: load_model(folder) for name, folder in folders.items()}
        if rounds:
            models = {name: with_measured_times(model, rounds) for name, model in models.items()}
        data = load_dataset(next(iter(models.values())).card.dataset, train_size=1)
        if not isinstance(data, ImageData):
            raise InputError("models: expected networks for images that fit in memory")
        images, labels = data.test_images[:test_size], data.test_labels[:test_size]
        found = {name: exit_answers(model, images) for name, model in models.items()}
    return slider_payload(models, found, images, labels, disagreeing=disagreeing)


def choose_images(
    labels: npt.NDArray[np.integer], answers: Sequence[npt.NDArray[np.integer]], *, disagreeing: int
) -> tuple[list[int], list[int]]:
    """Images by a rule that favours no network: the first of each class, and the first on which exits disagree.

    Args:
        labels: [N].
        answers: Class by each exit and image, [K, N], for every network.
        disagreeing: How many of the second kind: images whose answers, of all exits of all networks, are not the same.

    Returns:
        Places from 0 of the first kind, in the order of their classes, and of the second kind, those of the first left
        out. The order of the networks does not matter.

    Raises:
        InputError: there are too few of the second kind.
    """
    first = np.unique(labels, return_index=True)[1].tolist()
    all_answers = np.concatenate(answers)  # [exits of all networks, N]
    places = np.flatnonzero((all_answers != all_answers[0]).any(0)).tolist()
    others = [place for place in places if place not in first][:disagreeing]
    if len(others) < disagreeing:
        raise InputError(
            f"disagreeing: expected at most {len(others)}, the images of {len(labels)} that exits disagree on and that "
            f"are not the first of their class, found {disagreeing}"
        )
    return first, others


def slider_payload(
    models: Mapping[str, TrainedModel],
    found: Mapping[str, ExitAnswers],
    images: Tensor,
    labels: Tensor,
    *,
    disagreeing: int = 6,
) -> dict[str, Any]:
    """All that the slider shows.

    Args:
        models: Trained networks by the names that readers see. A table of times at batch size 1 and one thread is taken
            from their cards, the latest one for networks with the same layers, since weights do not change a time.
        found: What each of them answers, see :func:`exit_answers`.
        images: uint8 [N, C, H, W], the candidates in the order of the data set.
        labels: Their classes, [N].
        disagreeing: See :func:`choose_images`.

    Returns:
        JSON data:
        ``classes``, names; ``budget``, ``max`` and ``step`` of the slider in millions of multiply-adds; ``start``, the
        place in ``images`` that is shown first; ``networks``, each with ``name``, ``exits``, ``macs``,
        ``errors`` (share of the N candidates that each exit gets wrong), ``milliseconds`` (medians [K], or None),
        ``machine`` (or None), ``network`` (text that builds it), ``record`` (name of its run's, or None) and the shares
        ``overthinking``, ``ever_right_to_wrong`` and ``never_right`` of :class:`AnswerChanges` over the candidates;
        ``candidates``, N; ``images``, each with ``number`` (from 1, in the test set), ``label``, ``png`` (a data URI),
        ``probabilities`` [networks][K][classes] with four digits, and
        ``answers`` [networks][K].

    Raises:
        InputError: no network, answers of other networks, networks for different classes, or too few images.
    """
    if not models or list(models) != list(found):
        raise InputError(f"found: expected answers of {', '.join(models) or 'a model'}, found {', '.join(found)}")
    classes, *other = dict.fromkeys(model.card.class_names for model in models.values())
    if other:
        raise InputError(f"models: expected networks for the same classes, found {classes} and {other[0]}")
    first, others = choose_images(labels.numpy(), [one.classes for one in found.values()], disagreeing=disagreeing)
    tables = [latest_table(model, models.values()) for model in models.values()]
    changes = [answer_changes(one.probabilities, labels) for one in found.values()]
    largest, step = slider_range(max(one.macs[-1] for one in found.values()))
    return {
        "classes": list(classes),
        "budget": {"max": largest, "step": step},
        "start": len(first) if others else 0,
        "candidates": len(labels),
        "networks": [
            {
                "name": name,
                "exits": list(one.exits),
                "macs": list(one.macs),
                "errors": [round(float(share), 6) for share in (one.classes != labels.numpy()).mean(1)],
                "milliseconds": None if table is None else [_milliseconds(row.streamed.p50) for row in table.exits],
                "machine": None if table is None else machine_text(table),
                "network": models[name].card.network,
                "record": models[name].card.record,
                **{key: round(getattr(changed, key), 6) for key in CHANGES},
            }
            for (name, one), table, changed in zip(found.items(), tables, changes, strict=True)
        ],
        "images": [
            {
                "number": place + 1,
                "label": int(labels[place]),
                "png": png_data_uri(images[place]),
                "probabilities": [
                    [[round(float(p), 4) for p in row] for row in one.probabilities[:, place]] for one in found.values()
                ],
                "answers": [one.classes[:, place].tolist() for one in found.values()],
            }
            for place in [*first, *others]
        ],
    }


def latest_table(model: TrainedModel, others: Iterable[TrainedModel] = ()) -> LatencyTable | None:
    """The last table of times for one image on one thread, of a network with the same layers; None if there is none.

    Args:
        model: Whose times are asked for.
        others: Models whose cards are read too.
    """
    wanted = (fingerprint(model.net), 1, 1)
    tables = [table for one in [*others, model] for table in one.card.latency]
    fitting = [table for table in tables if (table.network, table.batch_size, table.threads) == wanted]
    return fitting[-1] if fitting else None


def with_measured_times(model: TrainedModel, rounds: int) -> TrainedModel:
    """The model with a table of this machine on its card; see :func:`measure_latency`.

    Args:
        model: The network on its device; nothing is written to its folder.
        rounds: Measurements of every time, at least 100.

    Raises:
        InputError: too few rounds.
    """
    shape = model.card.image_shape
    table = measure_latency(AnytimePredictor(model.net, shape), shape, rounds=rounds)
    return model._replace(card=model.card.model_copy(update={"latency": (*model.card.latency, table)}))


def machine_text(table: LatencyTable) -> str:
    """Where and how a table was measured, for people."""
    threads = f"{table.threads} thread{'s' * (table.threads > 1)}"
    return f"{table.device}, {threads}, batch size {table.batch_size}, PyTorch {table.torch}"


def slider_range(macs: int) -> tuple[float, float]:
    """End and step of a slider for budgets up to ``macs``, both in millions: at least 40 steps of a round size.

    Returns:
        (end, step): the step is 1, 2 or 5 times a power of ten, the end the first multiple of it from ``macs`` on.
    """
    millions = macs / 1e6
    power = 10.0 ** math.floor(math.log10(millions / _STEPS))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= millions / _STEPS)
    steps = math.ceil(macs / (step * 1e6))
    return round(steps * step, 9), round(step, 9)


def png_data_uri(image: Tensor) -> str:
    """An image uint8 [C, H, W], with C = 1 or 3, as the address of a PNG that holds it."""
    pixels = image.cpu().numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _milliseconds(seconds: float) -> float:
    return float(f"{1000 * seconds:.4g}")
