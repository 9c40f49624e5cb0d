import pytest

from tests.core.inference.networks import NETWORKS, made


@pytest.fixture(params=NETWORKS)
def net(request):
    """Each of the networks, in training mode."""
    return made(NETWORKS[request.param])
