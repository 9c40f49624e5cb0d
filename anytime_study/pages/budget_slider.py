"""The book's budget slider: answers of trained networks at all exits for a few test images, as data for a page.

The element itself is book/_assets/budget-slider.js. Browsers read no JSON beside a page that was opened from disk, so
the data are a script that sets ``window.budgetSliderData``. Showing kept data loads no torch; making them does.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anytime_core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from anytime_core.inference.saving import SavedModel

ELEMENT = '<div class="budget-slider"><p>This element needs JavaScript.</p></div>'
CHANGES = ("overthinking", "ever_right_to_wrong", "never_right")
_STEPS = 40  # of the slider, at least: arrow keys cross it in reasonable time


def make_payload(folders: Mapping[str, Path], *, test_size: int, disagreeing: int = 6) -> dict[str, Any]:
    """Run trained networks on the first test images of their data set, on one thread.

    Args:
        folders: Of saved models for the same data set, by the names that readers see. Times come from the latest table
            on any of their cards for one image on one thread and the same layers: weights do not change a time.
        test_size: Images.
        disagreeing: See :func:`choose_images`.

    Returns:
        JSON data:
        ``classes``, names; ``budget``, ``max`` and ``step`` of the slider in millions of multiply-adds; ``start``, the
        place in ``images`` that is shown first; ``networks``, each with ``name``, ``exits``, ``macs``,
        ``errors`` (share of the N candidates that each exit gets wrong), ``milliseconds`` (medians [K], or None),
        ``machine`` (or None), ``network`` (text that builds it), ``record`` (name of its run's, or None) and the shares
        ``overthinking``, ``ever_right_to_wrong`` and ``never_right`` of :class:`AnswerChanges` over the candidates;
        ``candidates``, N; ``images``, each with ``number`` (from 1, in the test set), ``label``, ``png`` (a data URI),
        ``probabilities`` [networks][K][classes] with four digits, and ``answers`` [networks][K].

    Raises:
        InputError: models that cannot be read or do not fit together.
        DatasetError: the images are not there.
    """
    from anytime_study.datasets import load_dataset
    from anytime_study.datasets.images import ImageData
    from anytime_study.foundations.torch_state import compute_settings
    from anytime_study.training.artefacts import load_model

    models = {name: load_model(folder) for name, folder in folders.items()}
    cards = [model.card for model in models.values()]
    classes, *other = dict.fromkeys(card.class_names for card in cards)
    if other:
        raise InputError(f"models: expected networks for the same classes, found {classes} and {other[0]}")
    dataset = cards[0].about["dataset"]
    data = load_dataset(dataset, train_size=1)
    if not isinstance(data, ImageData):
        raise InputError(f"models: expected networks for images that fit in memory, found {dataset}")
    images, labels = data.test_images[:test_size], data.test_labels[:test_size]
    with compute_settings(1, deterministic=False):
        networks = [_network(name, model, list(models.values()), images, labels) for name, model in models.items()]
    found = [network.pop("probabilities") for network in networks]  # of each [K, N, classes]
    first, others = choose_images(labels.numpy(), [one.argmax(-1) for one in found], disagreeing=disagreeing)
    largest, step = slider_range(max(network["macs"][-1] for network in networks))
    return {
        "classes": list(classes),
        "budget": {"max": largest, "step": step},
        "start": len(first) if others else 0,
        "candidates": len(labels),
        "networks": networks,
        "images": [
            {
                "number": place + 1,
                "label": int(labels[place]),
                "png": png_data_uri(images[place]),
                "probabilities": [[[round(float(p), 4) for p in row] for row in one[:, place]] for one in found],
                "answers": [one[:, place].argmax(-1).tolist() for one in found],
            }
            for place in [*first, *others]
        ],
    }


def _network(
    name: str, model: SavedModel, others: Sequence[SavedModel], images: Tensor, labels: Tensor
) -> dict[str, Any]:
    """One of the payload's networks, and its ``probabilities`` [K, N, classes]."""
    from anytime_core.inference.latency import fingerprint
    from anytime_core.inference.predictor import AnytimePredictor
    from anytime_study.analysis.logits import answer_changes

    predictor = AnytimePredictor(model.net)
    parts = [list(predictor.refine(model.card.normalise(batch))) for batch in images.split(500)]
    probabilities = np.concatenate([np.stack([one.probabilities.numpy() for one in part]) for part in parts], 1)
    wanted = (fingerprint(model.net), (f"float32 {[1, *model.card.input_shape]}",), 1)
    tables = [table for one in [*others, model] for table in one.card.latency]
    table = next((t for t in reversed(tables) if (t.network, t.inputs, t.threads) == wanted), None)
    changes = answer_changes(probabilities, labels)
    return {
        "name": name,
        "exits": list(predictor.exits),
        "macs": [answer.macs for answer in parts[0]],
        "errors": [round(float(share), 6) for share in (probabilities.argmax(-1) != labels.numpy()).mean(1)],
        "milliseconds": table and [float(f"{1000 * row.streamed.p50:.4g}") for row in table.exits],
        "machine": table and f"{table.device}, 1 thread, batch size 1, PyTorch {table.torch}",
        "network": model.card.about["network"],
        "record": model.card.about.get("record"),
        **{key: round(getattr(changes, key), 6) for key in CHANGES},
        "probabilities": probabilities,
    }


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
    others = [place for place in places if place not in first]
    if len(others) < disagreeing:
        raise InputError(
            f"disagreeing: expected at most {len(others)}, the images of {len(labels)} that exits disagree on and that "
            f"are not the first of their class, found {disagreeing}"
        )
    return first, others[:disagreeing]


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
    from PIL import Image

    pixels = image.cpu().numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def load_payload(path: Path) -> dict[str, Any]:
    """Read the data that :func:`make_payload` gave, kept as JSON.

    Raises:
        InputError: they cannot be read, or are something else.
    """
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"data: {path}: {error}") from None
    if not isinstance(payload, dict) or not {"networks", "images", "candidates"} <= payload.keys():
        raise InputError(f"data: {path}: expected networks, images and candidates, found another file")
    return payload


def slider_script(payload: Mapping[str, Any]) -> str:
    """The script that carries the data. It may be part of a page: no text in it can end a script element."""
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return f"window.budgetSliderData = {text};\n"


def slider_html(data: str, assets: Path) -> str:
    """The element with all it needs inside: it works in a notebook and in a page at any depth.

    Args:
        data: From :func:`slider_script`.
        assets: Folder of budget-slider.css and budget-slider.js.
    """
    style, code = ((assets / f"budget-slider.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return f"<style>\n{style}</style>\n{ELEMENT}\n<script>\n{data}</script>\n<script>\n{code}</script>\n"
