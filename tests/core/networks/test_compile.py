"""The real compiler on two small networks. Everywhere else graph breaks are looked for without it, which is faster."""

import copy
import shutil

import pytest
import torch

from anytime_core import MSDNet, ResANN


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")
@pytest.mark.parametrize(
    "build",
    [lambda: ResANN(n=1, c=4, in_channels=1), lambda: MSDNet(blocks=(3, 3), growth=2, in_channels=1)],
    ids=["ResANN", "MSDNet"],
)
def test_a_compiled_training_step_is_the_plain_one(build):
    torch.manual_seed(0)
    plain = build().double()  # so that what differs is a fault and not rounding
    compiled = copy.deepcopy(plain)
    images = torch.randn(4, 1, 16, 16, dtype=torch.float64)
    for call in (plain, torch.compile(compiled, fullgraph=True)):
        call(images).square().sum().backward()
    for (name, one), (_, other) in zip(plain.named_parameters(), compiled.named_parameters(), strict=True):
        torch.testing.assert_close(
            other.grad, one.grad, rtol=1e-6, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}"
        )
