"""What one run is: every choice that changes its numbers, checked before anything is loaded."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from anytime_core.networks.base import AnytimeNetwork
from anytime_core.weighting.base import LossWeighting
from anytime_study.datasets import DATASETS, DataCard, find_card
from anytime_study.foundations.registry import Spec
from anytime_study.runs.registries import NETWORKS, WEIGHTINGS

# Bump by hand when training code changes what a config means. Every run then gets a new name, so records made under
# another protocol are stale: no study finds them any more.
PROTOCOL = 1

# Where a run happens is provenance: it may not change what the run is, so it is no part of its name.
WHERE_FIELDS = frozenset({"device", "workers"})

Schedule = Literal["cosine", "steps", "thirds"]  # of the learning rate, see anytime_study.training.setup

HeadDecay = Literal["same", "sieve"]  # of the heads, see anytime_study.training.setup

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RunConfig(BaseModel):
    """One training run. Unknown names and wrong types are refused; texts are not turned into numbers.

    A run is named by the fields that differ from their defaults, so defaults never change (a test pins the names), and
    a new field with a default leaves every old name as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)

    dataset: str = Field(
        "digits", description="data set by name: " + ", ".join(DATASETS) + ", or folder:PATH, or text:PATH"
    )
    train_size: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of training images, the same ones for every seed; all of them if left out"
    )
    augment: bool = Field(True, description="crop, and flip where the data set allows it, afresh in every epoch")
    colour_jitter: bool = Field(
        False,
        description="vary the colours of ILSVRC, which cannot be trained on any more: part of its studies' names",
    )
    network: str = Field("resann", description="such as resann(n=3, c=16); one of " + ", ".join(NETWORKS.entries))
    weighting: str = Field(
        "adaloss",
        description="of the exits' losses, such as const or opt(exit=2); one of " + ", ".join(WEIGHTINGS.entries),
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of initialisation, data order and augmentation")
    epochs: int = Field(15, ge=1, description="passes over the training images")
    batch_size: int = Field(128, ge=1, description="images per step; the last incomplete batch is left out")
    learning_rate: Finite = Field(0.1, gt=0, description="largest learning rate of the schedule")
    schedule: Schedule = Field(
        "cosine",
        description="cosine to 0, or the papers' divisions by 10: steps (at 1/2 and 3/4) or thirds (at 1/3 and 2/3)",
    )
    warmup_epochs: Finite = Field(1.0, ge=0, description="epochs of linear rise to the learning rate")
    optimiser: Literal["sgd", "adamw"] = Field(
        "sgd",
        description="sgd, or adamw with β = (momentum, 0.99)",
        exclude_if=lambda name: name == "sgd",  # records from before there was another one keep their bytes
    )
    momentum: Finite = Field(0.9, ge=0, lt=1, description="momentum of SGD (not Nesterov)")
    weight_decay: Finite = Field(
        1e-4, ge=0, description="L2 penalty on all parameters but those of batch norms; AdamW spares all norms"
    )
    head_weight_decay: HeadDecay = Field(
        "same", description="sieve multiplies the heads' by the weights of SIEVE, as the authors' code does for AdaLoss"
    )
    label_smoothing: Finite = Field(
        0.0, ge=0, lt=1, description="share of the target spread over all classes, in training only"
    )
    loss_scales: Annotated[tuple[Positive, ...], Field(strict=False)] | None = Field(
        None, description="factors on the exits' losses, before they are weighed; none if left out"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16 computes convolutions in bfloat16 (autocast); fast where the hardware has it"
    )
    compile: bool = Field(
        False, description="let torch.compile fuse the network: costs half a minute or more, pays for long runs only"
    )
    threads: int = Field(1, ge=1, le=1024, description="CPU threads; same seed and threads, same bytes")
    devices: int = Field(
        1,
        ge=1,
        le=1024,
        description="processes of torchrun that share each batch, each on its own GPU, or on CPU threads",
    )
    early_exit: bool = Field(
        False, description="after training, measure early exit too: thresholds from validation, score on test images"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a CUDA device if there is one")
    workers: int = Field(0, ge=0, le=256, description="of no effect: processes that decoded images of ILSVRC")

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, name: str) -> str:
        return find_card(name).name

    @field_validator("network")
    @classmethod
    def _canonical_network(cls, text: str) -> str:
        return NETWORKS.parse(text).text

    @field_validator("weighting")
    @classmethod
    def _canonical_weighting(cls, text: str) -> str:
        return WEIGHTINGS.parse(text).text

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        for field, holds, expected in self._conditions():
            if not holds:
                raise ValueError(f"{field}: expected {expected}, found {getattr(self, field)}")
        return self

    def _conditions(self) -> Iterator[tuple[str, bool, str]]:
        """What a field must be, given the others: its name, whether it holds, and what is expected."""
        card = self.card
        most = f"at most the {card.num_train} training images of {self.dataset}"
        yield "train_size", self.num_train <= card.num_train, most
        coloured = self.dataset == "ilsvrc" and self.augment
        yield "colour_jitter", coloured or not self.colour_jitter, "False, but for ilsvrc with augment"
        yield "batch_size", self.batch_size <= self.num_train, f"at most the {self.num_train} training images used"
        multiple = f"a multiple of the {self.devices} devices that share a batch"
        yield "batch_size", self.batch_size % self.devices == 0, multiple
        takes_norms = self.weighting_spec.options.get("order") == 1
        yield "compile", not (self.compile and takes_norms), "False with gradient norms (order 1) of the network"
        yield "warmup_epochs", self.warmup_epochs <= self.epochs, f"at most the {self.epochs} epochs of the run"
        exits = _exits_that_fit(self.dataset, self.network, self.weighting)
        # Where an image has several labels, exit k learns label k; an EANN may answer with an earlier exit.
        one_each = card.num_tasks == 1 or (exits == card.num_tasks and self.network_spec.name != "eann")
        yield (
            "network",
            one_each,
            f"no EANN and {card.num_tasks} exits, one for each label of an image, as two_heads has",
        )
        scales = self.loss_scales is None or len(self.loss_scales) == exits
        yield "loss_scales", scales, f"{exits} factors, one per exit of {self.network}"
        kinds = {True: "one that reads a text, such as gpt", False: "one that reads images, not a text"}
        yield "network", card.reads_text == NETWORKS.takes(self.network_spec, "context"), kinds[card.reads_text]
        leaves_early = exits > 1 and card.num_tasks == 1 and not card.reads_text
        several = "False, but for networks with several exits and images with one label"
        yield "early_exit", leaves_early or not self.early_exit, several

    @property
    def network_spec(self) -> Spec:
        """The network's name and options."""
        return NETWORKS.parse(self.network)

    @property
    def weighting_spec(self) -> Spec:
        """The weighting's name and options."""
        return WEIGHTINGS.parse(self.weighting)

    @property
    def card(self) -> DataCard:
        """Facts about the data set."""
        return find_card(self.dataset)

    @property
    def num_train(self) -> int:
        """Training images used."""
        return self.train_size or self.card.num_train

    @property
    def on_cuda(self) -> bool:
        """Whether the run computes on a GPU, on this machine."""
        return self.device == "cuda" or (self.device == "auto" and torch.cuda.is_available())

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch."""
        return self.num_train // self.batch_size

    @property
    def name(self) -> str:
        """The run's name: readable parts, then a hash of the protocol and of the fields that differ from defaults."""
        fields = self.model_dump(exclude_defaults=True, exclude=set(WHERE_FIELDS))
        if "dataset" in fields:
            fields["dataset"] = self.card.slug  # not the place of a folder
        text = json.dumps({"protocol": PROTOCOL, **fields}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.card.slug}-{self.network_spec.name}-{self.weighting_spec.name}-seed{self.seed}-{digest}"

    def build_network(self) -> AnytimeNetwork:
        """A new network for this data set, initialised from torch's current random state."""
        return NETWORKS.build(self.network_spec, **self.card.network_options)

    def build_weighting(self, net: AnytimeNetwork) -> LossWeighting:
        """A new weighting for the losses of this network's exits."""
        return WEIGHTINGS.build(
            self.weighting_spec, num_exits=net.num_exits, parameters=net.parameters(), seed=self.seed
        )


@functools.cache  # a study has hundreds of runs of a few kinds
def _exits_that_fit(dataset: str, network: str, weighting: str) -> int:
    """Build network and weighting without data: options that do not fit show now. Gives the number of exits, K."""
    net = network_without_data(network, dataset)
    WEIGHTINGS.build(weighting, num_exits=net.num_exits, parameters=net.parameters(), seed=0)
    return net.num_exits


@functools.cache  # a deep network takes a tenth of a second
def network_without_data(network: str, dataset: str) -> AnytimeNetwork:
    """A network of shapes alone, which nobody may change. Raises ValueError, with its text, if it cannot be built."""
    options = find_card(dataset).network_options
    try:
        with torch.device("meta"):
            return NETWORKS.build(network, **options)
    except ValueError as error:
        raise ValueError(f"network {network}: {error}") from None
