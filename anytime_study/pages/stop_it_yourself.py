"""What the live element *Stop it yourself* is given: test images, trained networks and their records, as scripts.

The element itself is book/_assets/stop-it-yourself.js. Browsers read no file beside a page that was opened from disk,
so its data are scripts: one with everything small, and one for each network, loaded when it is needed.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.pages.words import FEWEST, capital, listed, number

if TYPE_CHECKING:
    from torch import Tensor

    from anytime_study.runs.record import RunRecord

Kinds = Mapping[str, Mapping[str, Path]]
"""Folders of trained networks by the kind of image (photographs, garments, digits) and the name of their weighting."""
DATA, STILL, SCRIPT = "stop-it-yourself-data.js", "stop-it-yourself-still.svg", "explorables-data.js"
MOST_SEEDS = 20
CANDIDATES, IMAGES = 1000, 12
_OF_EACH_SORT = 4
_ABOUT = {"const": "equal weights", "adaloss": "weights roughly 1 / loss"}


def choose_images(labels: npt.NDArray[np.integer], answers: npt.NDArray[np.integer]) -> list[int]:
    """A dozen images by a rule that favours no network, the first of them one that later exits correct.

    Images come in three sorts: *corrected*, where every network is wrong in the first third of its exits and right from
    some later one to its last; other images on which not all exits of all networks agree; and those on which all agree.
    Four of the first two and then as many of the last as are missing, each sort from the beginning of the test set,
    classes that are not there yet first.

    Args:
        labels: [N].
        answers: Class by each network and exit, [networks, K, N].

    Returns:
        Places from 0: first the first corrected image, if there is one, then the others in the order of the test set.

    Raises:
        InputError: fewer than 12 images, or none on which exits disagree.
    """
    right = answers == labels
    early = max(1, right.shape[1] // 3)
    corrected = (~right[:, :early].any(1) & right[:, -1] & (right[:, 1:] >= right[:, :-1]).all(1)).all(0)
    agreed = (answers == answers[0, 0]).all((0, 1))
    chosen: list[int] = []
    for sort, most in ((corrected, _OF_EACH_SORT), (~agreed & ~corrected, _OF_EACH_SORT), (agreed, IMAGES)):
        places = np.flatnonzero(sort).tolist()
        for _ in range(min(most, len(places), IMAGES - len(chosen))):
            shown = {labels[place] for place in chosen}
            chosen.append(next((place for place in places if labels[place] not in shown), places[0]))
            places.remove(chosen[-1])
    if len(chosen) < IMAGES or agreed[chosen[0]]:
        raise InputError(
            f"images: expected {IMAGES}, some of which exits disagree on, found {len(chosen)} of {len(labels)}"
        )
    return [chosen[0], *sorted(chosen[1:])]


def make_images(folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Run the networks of one kind on the first test images of their data set, and keep a dozen.

    Args:
        folders: Of networks trained on one data set, by the names that readers see.

    Returns:
        For each image ``number`` (from 1, in the test set), ``label``, ``png`` (a data URI) and ``answers``
        [networks][K], the classes that PyTorch gives.
    """
    import torch

    from anytime_study.datasets import load_dataset
    from anytime_study.training.artefacts import load_model

    models = [load_model(folder) for folder in folders.values()]
    data = load_dataset(models[0].card.about["dataset"], train_size=1)
    images, labels = data.test_images[:CANDIDATES], data.test_labels[:CANDIDATES].numpy()
    with torch.inference_mode():
        found = [
            torch.cat([net(card.normalise(part)).argmax(-1) for part in images.split(250)], 1) for net, card in models
        ]
    answers = torch.stack(found).numpy()  # [networks, K, N]
    return [
        {
            "number": place + 1,
            "label": int(labels[place]),
            "png": png_data_uri(images[place]),
            "answers": answers[:, :, place].tolist(),
        }
        for place in choose_images(labels, answers)
    ]


def images_of(kinds: Kinds, path: Path) -> dict[str, list[dict[str, Any]]]:
    """The images of each kind, from the file that keeps them; made and kept where they are not in it.

    Args:
        kinds: Folders of networks.
        path: The file.
    """
    kept = json.loads(path.read_text()) if path.exists() else {}
    for kind in kinds.keys() - kept.keys():
        kept[kind] = make_images(kinds[kind])
        atomic_write(path, json.dumps(kept, separators=(",", ":")) + "\n")
    return kept


def write_scripts(kinds: Kinds, images: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path, records: Path) -> dict:
    """Write what the element and the explorables load: ``DATA``, ``STILL``, a script for each network, ``SCRIPT``.

    Args:
        kinds: As they are shown, the first one first.
        images: Of each kind, from :func:`make_images`.
        folder: For the files.
        records: data/records: the record that a network's card names lies in one of its folders.

    Returns:
        The data: by kind ``classes``; ``shape`` [H, W, C]; ``own``, whether readers can add a "drawing" or a "picture";
        ``tested``, how many test images errors are counted on; ``images``, and ``networks``:
        ``name``, ``about``, ``id`` among ``window.ANYTIME_NETWORKS``, ``script``, and for each exit ``weights`` in the
        last epoch of training,
        ``errors`` (share of the test images) and ``macs``; ``record`` names where the last three come from.

    Raises:
        InputError: a network that cannot be exported, or whose record is not there.
    """
    from anytime_study.datasets import find_card
    from anytime_study.pages.live_networks import live_script
    from anytime_study.training.artefacts import load_model

    data: dict[str, Any] = {}
    for kind, folders in kinds.items():
        networks = []
        for name, path in folders.items():
            model = load_model(path)
            id_ = f"{kind}-{name.lower()}"
            record = record_of(records, model.card.about["record"])
            atomic_write(folder / f"network-{id_}.js", live_script(id_, model))
            networks.append(
                {
                    "name": name,
                    "about": _ABOUT.get(record.config.weighting, ""),
                    "id": id_,
                    "script": f"network-{id_}.js",
                    "weights": record.epoch_weights[-1],
                    "errors": record.test.error,
                    "macs": record.costs.macs_cumulative,
                    "record": record.name,
                }
            )
        channels, height, width = model.card.input_shape
        dataset = find_card(model.card.about["dataset"])
        data[kind] = {
            "title": dataset.title,
            "classes": model.card.class_names,
            "shape": [height, width, channels],
            "own": "drawing" if dataset.name == "digits" else "picture",
            "tested": dataset.num_test,
            "networks": networks,
            "images": images[kind],
        }
    atomic_write(folder / DATA, data_script("STOP_IT_YOURSELF", data))
    atomic_write(folder / STILL, still(next(iter(data.values()))))
    atomic_write(folder / SCRIPT, data_script("EXPLORABLES_DATA", explorables(data, records)))
    return data


def record_of(records: Path, name: str) -> RunRecord:
    """The record of a run, in one of the folders of data/records.

    Raises:
        InputError: it is not there.
    """
    from anytime_study.runs.record import RunRecord

    return RunRecord.load(_file_of(records, name))


def _file_of(records: Path, name: str) -> Path:
    if path := next(records.glob(f"*/{name}.json"), None):
        return path
    raise InputError(f"networks: expected the record {name} in {records}, found none")


def explorables(data: Mapping[str, Any], records: Path) -> dict[str, Any]:
    """What the explorables show of these records.

    Args:
        data: Of :func:`write_scripts`.
        records: data/records.

    Returns:
        ``playedBack``, by kind ``title`` and ``networks``, each with ``name``, ``record``, ``losses`` and ``weights``
        [epochs][K]; ``pairedSeeds``, from :func:`paired_seeds`; and ``t95``, the quantiles of Student's t for 95 %
        intervals with 1, 2, … degrees of freedom.
    """
    import scipy.stats

    played = {}
    for kind, of_kind in data.items():
        networks = []
        for network in of_kind["networks"]:
            record = record_of(records, network["record"])
            epochs = {"losses": record.epoch_losses, "weights": record.epoch_weights}
            shorter = {
                what: [[float(f"{value:.4g}") for value in row] for row in rows] for what, rows in epochs.items()
            }
            networks.append({"name": network["name"], "record": record.name, **shorter})
        played[kind] = {"title": of_kind["title"], "networks": networks}
    quantiles = scipy.stats.t.ppf(0.975, range(1, 2 * MOST_SEEDS)).tolist()
    return {"playedBack": played, "pairedSeeds": paired_seeds(records), "t95": quantiles}


def paired_seeds(records: Path) -> list[dict[str, Any]]:
    """Test errors of AdaLoss and equal weights in every setting of the tier cifar with three seeds of both, or more.

    Args:
        records: data/records.

    Returns:
        A setting each, that of the primary comparison first: ``title``; ``seeds`` in order; ``errors``
        [2][seeds][K], from 0 to 1, CONST's first. Of batch sizes only the usual one, 128.
    """
    from anytime_study.analysis.trade_offs import pairs_of, setting
    from anytime_study.studies.experiments import load_experiments

    experiments = load_experiments("cifar", records=records / "cifar")
    found: dict[str, dict[str, Any]] = {}
    for experiment in sorted(experiments.values(), key=lambda one: one.name != "trade_off"):
        together: dict[tuple[str, str], list[tuple[RunRecord, RunRecord]]] = {}
        for adaloss, const in pairs_of([experiment]):
            if const.config.batch_size == 128:
                together.setdefault((setting(const.config), const.config.network), []).append((const, adaloss))
        for (title, _), several in together.items():
            if title not in found and len(several) >= FEWEST:
                seeds = [const.config.seed for const, _ in several]
                errors = [[run.test.error for run in runs] for runs in zip(*several, strict=True)]
                found[title] = {"title": title, "seeds": seeds, "errors": errors}
    return list(found.values())


def data_script(name: str, data: Any) -> str:
    """A script that sets ``window.<name>``. It may be part of a page: no text in it can end a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return f"window.{name} = {text};\n"


def png_data_uri(image: Tensor) -> str:
    """An image uint8 [C, H, W], with C = 1 or 3, as the address of a PNG that holds it."""
    from PIL import Image

    pixels = image.cpu().numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def still(kind: Mapping[str, Any]) -> str:
    """The picture for those without JavaScript: the first image, and what every exit of the networks says of it."""
    image, classes, networks = kind["images"][0], kind["classes"], kind["networks"]
    step = 620 / len(networks[0]["macs"])
    rows = []
    for row, (network, answers) in enumerate(zip(networks, image["answers"], strict=True)):
        y = 45 + 80 * row
        rows.append(f'<text x="170" y="{y - 18}" font-weight="700">{escape(network["name"])}</text>')
        for place, answer in enumerate(answers):
            x = 170 + step * place
            colour = "#0068a8" if answer == image["label"] else "#b3174b"  # as in card.css
            rows.append(
                f'<rect x="{x}" y="{y}" width="{step - 6}" height="8" rx="4" fill="{colour}"/>'
                f'<text x="{x}" y="{y + 26}" font-size="11">{escape(classes[answer])}</text>'
            )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="800" height="170" viewBox="0 0 800 170" '
        'font-family="sans-serif" font-size="14" fill="#4a4f57">'
        '<rect width="800" height="170" rx="8" fill="#fff"/>'  # readable on a dark page too
        f'<image href="{image["png"]}" x="5" y="5" width="150" height="150" style="image-rendering:pixelated"/>'
        f"{''.join(rows)}</svg>\n"
    )


def lost(kind: Mapping[str, Any]) -> str:
    """A sentence: on which of its images a network is right at some exit and wrong at its last."""
    found, times = [], 0
    for place, network in enumerate(kind["networks"]):
        numbers = []
        for image in kind["images"]:
            right = [answer == image["label"] for answer in image["answers"][place]]
            if any(right) and not right[-1]:
                numbers.append(str(image["number"]))
        if numbers:
            times += len(numbers)
            found.append(f"{network['name']} on test image{'s' * (len(numbers) > 1)} {listed(numbers)}")
    if not found:
        return "A later exit can spoil an answer that was right, though it does not on these twelve images."
    often = {1: "Once", 2: "Twice"}.get(times, f"{capital(number(times))} times")
    return f"{often}, a later exit spoils a right answer: {', '.join(found)}."


def half_way(kind: Mapping[str, Any]) -> tuple[int, int]:
    """The exit that half of the computation pays for, and how many of the images the last network gets right there."""
    macs = kind["networks"][-1]["macs"]
    reached = sum(cost <= macs[-1] / 2 for cost in macs)
    right = sum(image["answers"][-1][reached - 1] == image["label"] for image in kind["images"])
    return reached, right
