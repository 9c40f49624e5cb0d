"""A trained network as a folder: weights.safetensors, and card.json that says what they are. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from anytime_core import __version__
from anytime_core.costs import ExitCosts, exit_costs
from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_core.inference.latency import Count, LatencyTable
from anytime_core.networks.base import AnytimeNetwork
from anytime_study.datasets.images import normalise
from anytime_study.foundations.validation import explain
from anytime_study.runs.registries import NETWORKS

WEIGHTS, CARD = "weights.safetensors", "card.json"


class CardCosts(BaseModel):
    """MACs of one image at the K exits; see :class:`anytime_core.costs.ExitCosts`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    macs_cumulative: tuple[int, ...]
    macs_fixed: tuple[int, ...]


class ModelCard(BaseModel):
    """What a user of the weights has to know.

    Attributes:
        network: Text that builds the network, such as ``resann(n=3, c=16)``.
        dataset: What it was trained on.
        class_names: Names of the classes 0, 1, ….
        image_shape: (C, H, W).
        mean: [C], subtracted from pixels on the scale where white is 1.
        std: [C], divided by.
        record: Name of the record of the training run, if there is one.
        latency: Measured times, one table per device, thread count and batch size.
        format: Version of this format.
        package: Version of anytime_core that wrote it.
        costs: Of each exit. This and the next are filled in when the model is saved.
        weights_sha256: Checksum of the file of weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    package: str = __version__
    network: str
    dataset: str
    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    image_shape: tuple[Count, Count, Count]
    mean: tuple[FiniteFloat, ...]
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]
    record: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] | None = None
    costs: CardCosts | None = None
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    latency: tuple[LatencyTable, ...] = ()

    @model_validator(mode="after")
    def _one_number_per_channel(self) -> ModelCard:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.image_shape[0]:
                raise ValueError(
                    f"{name}: expected {self.image_shape[0]} numbers, one per channel, found {len(getattr(self, name))}"
                )
        return self

    def normalise(self, images: Tensor) -> Tensor:
        """Map uint8 images [N, C, H, W] to float32 (images / 255 − mean) / std, as in training."""
        mean, std = (torch.tensor(values, device=images.device) for values in (self.mean, self.std))
        return normalise(images, mean, std)


class TrainedModel(NamedTuple):
    """What :func:`load_model` gives: the network in evaluation mode, and its card."""

    net: AnytimeNetwork
    card: ModelCard


def save_model(folder: Path, net: AnytimeNetwork, card: ModelCard) -> ModelCard:
    """Write a trained network and its card; a model that was in the folder is replaced.

    Args:
        folder: Made if it is missing.
        net: The network. Its weights are written as they are in memory, from any device.
        card: Its costs and checksum are filled in here.

    Returns:
        The card as it was written.

    Raises:
        InputError: the network is not the one that ``card.network`` names, or has weights that are no numbers.
        OSError: the folder cannot be written.
    """
    # clones: safetensors takes no views, no shared memory and no other layout than the plain one
    tensors = {
        name: tensor.detach().cpu().contiguous(memory_format=torch.contiguous_format).clone()
        for name, tensor in net.state_dict().items()
    }
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise InputError(f"model: expected finite weights, found NaN or infinity in {name}")
    shell = _empty_network(card, where=f"model for {folder}")
    _check_tensors(shell, tensors, where=f"model for {folder}")
    content = save(tensors)
    card = card.model_copy(
        update={
            "package": __version__,
            "costs": _card_costs(shell, card, where=f"model for {folder}"),
            "weights_sha256": hashlib.sha256(content).hexdigest(),
        }
    )
    atomic_write(folder / WEIGHTS, content)
    _write_card(folder, card)  # last: a kill before it leaves a checksum that does not fit, never a wrong model
    return card


def load_model(folder: Path, device: torch.device | str = "cpu") -> TrainedModel:
    """Read a trained network.

    Args:
        folder: Of :func:`save_model`.
        device: Where the network shall be.

    Raises:
        InputError: a file is missing, damaged, foreign or outside of the folder, or the two do not fit together; it
            names the file. Nothing of the folder is executed: neither pickles nor code are read.
    """
    card_path, weights_path = (_inside(folder, name) for name in (CARD, WEIGHTS))
    try:
        card = ModelCard.model_validate_json(_content(card_path))
    except ValidationError as error:
        raise InputError(explain(error, ModelCard, where=f"card {card_path}")) from None
    where = f"model {folder}"
    if card.costs is None or card.weights_sha256 is None:
        raise InputError(f"bad {where}: {CARD}: expected costs and weights_sha256, which save_model writes, found none")
    content = _content(weights_path)
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise InputError(f"bad {where}: {WEIGHTS} is damaged or not the card's: its SHA-256 is another one")
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise InputError(f"bad {where}: {WEIGHTS} is no safetensors file ({error})") from None
    net = _empty_network(card, where=where)
    _check_tensors(net, tensors, where=where)
    if card.costs != _card_costs(net, card, where=where):
        raise InputError(f"bad {where}: {CARD}: the costs are not those of {card.network} at {list(card.image_shape)}")
    net.load_state_dict(tensors, assign=True)
    if 1 not in net.answering_exits:
        raise InputError(f"bad {where}: expected the first exit to be adopted, found that it is not")
    return TrainedModel(net.to(device).eval(), card)


def add_latency(folder: Path, table: LatencyTable) -> ModelCard:
    """Keep a table beside the weights, in the place of one for the same use. Returns the new card.

    Raises:
        InputError: as :func:`load_model`.
        OSError: the folder cannot be written.
    """
    card = load_model(folder).card
    kept = [old for old in card.latency if _use(old) != _use(table)]
    card = card.model_copy(update={"latency": (*kept, table)})
    _write_card(folder, card)
    return card


def _use(table: LatencyTable) -> tuple[object, ...]:
    return table.device, table.threads, table.batch_size, table.image_shape


def _write_card(folder: Path, card: ModelCard) -> None:
    content = card.model_dump(mode="json", exclude_none=True)
    atomic_write(folder / CARD, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"bad model {folder}: expected {name} in the folder, found a link to {path.resolve()}")
    return path


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"bad model {path.parent}: {path.name}: {error.strerror}") from None


def _empty_network(card: ModelCard, *, where: str) -> AnytimeNetwork:
    """The network that a card names, without memory for its weights."""
    try:
        with torch.device("meta"):
            return NETWORKS.build(card.network, num_classes=len(card.class_names), in_channels=card.image_shape[0])
    except ValueError as error:
        raise InputError(f"bad {where}: network: {error}") from None


def _check_tensors(net: AnytimeNetwork, tensors: dict[str, Tensor], *, where: str) -> None:
    """Refuse weights of another network."""
    expected = {name: (list(tensor.shape), tensor.dtype) for name, tensor in net.state_dict().items()}
    found = {name: (list(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            described = (
                "none" if what is None else f"{what[1]} {what[0]}" for what in (expected.get(name), found.get(name))
            )
            wanted, got = described
            raise InputError(f"bad {where}: weights {name}: expected {wanted}, found {got}")


def _card_costs(net: AnytimeNetwork, card: ModelCard, *, where: str) -> CardCosts:
    try:
        costs: ExitCosts = exit_costs(net, card.image_shape)
    except (RuntimeError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise InputError(f"bad {where}: image_shape {list(card.image_shape)}: {problem}") from None
    return CardCosts(macs_cumulative=costs.macs_cumulative, macs_fixed=costs.macs_fixed)
