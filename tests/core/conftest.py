"""The library's tests run on the device that ANYTIME_TEST_DEVICE names: ``cpu`` (the default), ``cuda``, ``cuda:1``.

Test modules make their tensors and networks there with :mod:`tests.core.on_device`, or take the fixture ``device``.
"""

import pytest
import torch

from tests.core.on_device import DEVICE


@pytest.fixture(scope="session", autouse=True)
def _same_numbers():
    """Convolutions in full float32 and without a search for the fastest one: results are compared with a CPU's."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.zeros(1, device=DEVICE)  # a device that is not there fails here, once, by its name


@pytest.fixture
def device():
    """The device under test."""
    return DEVICE
