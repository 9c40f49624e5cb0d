"""Arguments that networks refuse: the error names the argument first, then what was expected and what was found."""

import pytest
import torch

from anytime_core import DenseANN, MSDNet, ResANN
from anytime_study.runs.imagenet import denseann_imagenet, msdnet_imagenet, resann_imagenet

REFUSED = [
    *[(ResANN, name, value) for name in ("n", "c", "num_classes", "in_channels") for value in (0, -3)],
    (ResANN, "c", 7),
    *[(ResANN, name, 1.5) for name in ("n", "s", "first_exit", "num_classes")],
    (ResANN, "num_classes", "10"),
    *[(ResANN, name, value) for name in ("s", "first_exit") for value in (0, 10)],
    *[(resann_imagenet, name, 0) for name in ("s", "first_exit", "num_classes", "in_channels")],
    (resann_imagenet, "depth", 20),
    (resann_imagenet, "s", 17),
    *[(DenseANN, name, 0) for name in ("n", "growth", "s", "first_exit", "num_classes", "in_channels")],
    *[(DenseANN, "dropout", value) for value in (1.0, -0.1)],
    (denseann_imagenet, "depth", 100),
    *[(denseann_imagenet, name, value) for name in ("s", "first_exit") for value in (0, 59)],
    *[(MSDNet, "blocks", value) for value in ((), (3, 1), (2, 2, 2, 2, 2))],
    *[(MSDNet, name, 0) for name in ("growth", "num_classes", "in_channels", "s", "first_exit")],
    *[(MSDNet, name, 16) for name in ("s", "first_exit")],
    (msdnet_imagenet, "depth", 50),
    *[
        (MSDNet.original, name, 0)
        for name in ("num_exits", "base", "step", "growth", "channels", "scales", "in_channels")
    ],
    (MSDNet.original, "scales", 5),
]


@pytest.mark.parametrize(("constructor", "name", "value"), REFUSED)
def test_what_does_not_fit_is_named(constructor, name, value):
    with pytest.raises(ValueError, match=rf"^{name}: expected ") as refused, torch.device("meta"):
        constructor(**{name: value})
    assert str(value) in str(refused.value)
