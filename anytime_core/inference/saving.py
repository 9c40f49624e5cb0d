"""A trained network as a folder: weights.safetensors, and card.json that says what they are. Nothing is unpickled.

save_model("model", net, ModelCard("ResANN", {"n": 3, "c": 16, "num_classes": 10, "in_channels": 1}))
net, card = load_model("model")
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import anytime_core
from anytime_core.errors import InputError, needed_package
from anytime_core.files import atomic_write
from anytime_core.inference.latency import LatencyTable, fingerprint
from anytime_core.inference.steps import find_steps
from anytime_core.networks.base import AnytimeNetwork

WEIGHTS, CARD, FORMAT = "weights.safetensors", "card.json", 2
LARGEST = 100_000  # of whole numbers in options: a damaged card must not build for hours
DAMAGE = ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError  # what a damaged card raises

Build = Callable[[str, dict[str, Any]], AnytimeNetwork]


@dataclass(frozen=True)
class ModelCard:
    """What a user of the weights has to know.

    Attributes:
        network: Class of the network, such as ``ResANN``, or ``MSDNet.original``.
        options: Its arguments by keyword: what JSON can hold, with tuples as lists.
        class_names: Names of the classes 0, 1, ….
        input_shape: Shape of one input, such as (C, H, W).
        mean: [C], subtracted from pixels on the scale where white is 1.
        std: [C], divided by.
        about: The caller's own: what it was trained on, by which run.
        latency: Measured times, one table per device, thread count and batch.
        weights_sha256: Checksum of the file of weights; filled in when the model is saved.
    """

    network: str
    options: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    input_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    latency: tuple[LatencyTable, ...] = ()
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        channels = self.input_shape[0] if self.input_shape and (self.mean or self.std) else 0
        fits = len(self.mean) == len(self.std) == channels and all(0 < value < math.inf for value in self.std)
        if not fits or not math.isfinite(sum(self.mean)):
            raise InputError(
                f"mean and std: expected {channels} finite numbers each, one per channel of input_shape "
                f"{self.input_shape}, those of std above 0, found {list(self.mean)} and {list(self.std)}"
            )

    def normalise(self, images: Tensor) -> Tensor:
        """Map uint8 images [N, C, H, W] to float32 (images / 255 − mean) / std, as in training."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != len(self.mean):
            found = f"{images.dtype} {list(images.shape)}"
            raise InputError(f"images: expected torch.uint8 [N, {len(self.mean)}, H, W], found {found}")
        mean, std = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (self.mean, self.std))
        return images.to(torch.float32).div_(255).sub_(mean).div_(std)

    def with_latency(self, table: LatencyTable) -> ModelCard:
        """The card with another table, in the place of one for the same device, threads and inputs."""
        use = attrgetter("device", "threads", "inputs")
        return replace(self, latency=(*(old for old in self.latency if use(old) != use(table)), table))


class SavedModel(NamedTuple):
    """What :func:`load_model` gives: the network in evaluation mode, and its card."""

    net: AnytimeNetwork
    card: ModelCard


def save_model(folder: Path | str, net: AnytimeNetwork, card: ModelCard, *, build: Build | None = None) -> ModelCard:
    """Write a trained network and its card, which is returned as written; a model in the folder is replaced.

    Args:
        folder: Made if it is missing.
        net: The network. Its weights are written as they are in memory, from any device.
        card: Its checksum is filled in here.
        build: As for :func:`load_model`.

    Raises:
        ImportError: the package safetensors is missing; it says how to get it.
        InputError: the card names another network or holds what JSON cannot, or weights are no numbers.
        OSError: the folder cannot be written.
    """
    # clones: safetensors takes no views, no shared memory and no other layout than the plain one
    tensors = {name: x.cpu().clone(memory_format=torch.contiguous_format) for name, x in net.state_dict().items()}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise InputError(f"model: expected finite weights, found NaN or infinity in {name}")
    built = _filled(card, tensors, build, where=f"model for {folder}")
    if fingerprint(built) != fingerprint(net):  # a stride or an activation is in no weight
        raise InputError(f"card: expected the network to be saved, found other layers in {card.network} {card.options}")
    once = {name: tensors[name] for name, first in _first_names(built).items() if name == first}
    content = needed_package("safetensors.torch", extra="save").save(once)
    card = replace(card, weights_sha256=hashlib.sha256(content).hexdigest())
    try:
        text = json.dumps({"format": FORMAT, **asdict(card)}, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"card: expected what JSON can hold: {error}") from None
    atomic_write(Path(folder) / WEIGHTS, content)
    # last: a kill before it leaves a checksum that does not fit, never a wrong model
    atomic_write(Path(folder) / CARD, text + "\n")
    return card


def load_model(folder: Path | str, device: torch.device | str = "cpu", *, build: Build | None = None) -> SavedModel:
    """Read a trained network.

    Args:
        folder: Of :func:`save_model`.
        device: Where the network shall be.
        build: Makes the network, with any weights, from the card's ``network`` and ``options``. By default ``network``
            has to be the name of a class of networks in anytime_core.

    Raises:
        ImportError: the package safetensors is missing; it says how to get it.
        InputError: a file is missing, damaged or foreign, or the two do not fit together; it names the file. Nothing of
            the folder is executed: neither pickles nor code are read.
    """
    folder = Path(folder)
    torch_files = needed_package("safetensors.torch", extra="save")
    card = _read_card(folder)
    content = _content(folder / WEIGHTS)
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise InputError(f"bad model {folder}: {WEIGHTS} is damaged or not the card's: its SHA-256 is another one")
    try:
        tensors = torch_files.load(content)
    except Exception as error:  # of safetensors, which has its own
        raise InputError(f"bad model {folder}: {WEIGHTS} is no safetensors file ({error})") from None
    net = _filled(card, tensors, build, where=f"model {folder}")
    return SavedModel(net.to(device).eval(), card)


def library_network(network: str, options: dict[str, Any]) -> AnytimeNetwork:
    """A network of anytime_core by the name of its class, without memory for its weights (on PyTorch's meta device)."""
    if any(isinstance(option, int) and option > LARGEST for option in tree_leaves(options)):
        raise ValueError(f"options: expected whole numbers of at most {LARGEST}, found a larger one")
    original = network == "MSDNet.original"
    cls: Any = anytime_core.MSDNet.original if original else getattr(anytime_core, network, None)
    if not original and not (isinstance(cls, type) and issubclass(cls, AnytimeNetwork)):
        raise ValueError(f"network: expected a class of networks in anytime_core, or build=…, found {network!r}")
    with torch.device("meta"):  # no random numbers for weights that are replaced
        return cls(**options)


def _filled(card: ModelCard, tensors: dict[str, Tensor], build: Build | None, *, where: str) -> AnytimeNetwork:
    """The network that a card names, with these weights in their own dtype."""
    try:
        net = (build or library_network)(card.network, {name: _tuples(v) for name, v in card.options.items()})
        parameters = dict(net.named_parameters())
        state = {name: nn.Parameter(x, False) if name in parameters else x for name, x in tensors.items()}
        for name, first in _first_names(net).items():
            if first in state and (name not in state or torch.equal(state[name], state[first])):
                state[name] = state[first]
        net.load_state_dict(state, assign=True)
        find_steps(net)  # refuses an EANN without its first exit
    except DAMAGE as error:
        problem = " ".join(str(error).split())  # load_state_dict writes a line for each weight
        raise InputError(f"bad {where}: {card.network} {card.options}: {problem[:500]}") from None
    return net


def _first_names(net: nn.Module) -> dict[str, str]:
    """Each name of the state -> the first one of the same tensor: a tied weight has several, and is written once."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in net.state_dict(keep_vars=True).items()}


def _tuples(value: Any) -> Any:
    """JSON has lists where Python has tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _read_card(folder: Path) -> ModelCard:
    content = _content(folder / CARD)
    try:
        values = json.loads(content)
        if values.pop("format") != FORMAT:
            raise ValueError(f"expected format {FORMAT}, found another one")
        values["latency"] = [LatencyTable.from_dict(table) for table in values["latency"]]
        return ModelCard(**{name: _tuples(value) for name, value in values.items()})
    except DAMAGE as error:
        raise InputError(f"bad card {folder / CARD}: {type(error).__name__}: {error}") from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"bad model {path.parent}: {path.name}: {error.strerror}") from None
