"""Every network of small images learns under every weighting: the registries keep what they promise."""

import pytest
import torch

from anytime_core import cross_entropy_per_exit
from anytime_study.runs.config import RunConfig
from anytime_study.runs.registries import NETWORKS, WEIGHTINGS

# The smallest of each kind, so that all pairs take seconds.
SMALL = {
    "resann": "resann(n=1, c=4)",
    "denseann": "denseann(n=2, growth=4, s=1)",
    "eann": "eann(n=(1, 2), c=4)",
    "msdnet": "msdnet(growth=4)",
    "two_heads": "two_heads(n=1, c=4)",
    "gpt": "gpt(width=8, blocks=2, heads=2)",
}
SMALL_NETWORKS = [name for name in NETWORKS.entries if not name.endswith("_imagenet")]
LARGE_NETWORKS = [name for name in NETWORKS.entries if name.endswith("_imagenet")]


@pytest.fixture(scope="module", params=SMALL_NETWORKS)
def net(request):
    torch.manual_seed(0)
    return NETWORKS.build(SMALL[request.param], num_classes=10, in_channels=3, context=16)


@pytest.mark.parametrize("weighting", WEIGHTINGS.entries)
def test_one_optimiser_step_changes_what_it_should(net, weighting):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, 28, 28, generator=generator)
    labels = torch.randint(10, (8,), generator=generator)
    if net.options.get("model") == "SmallDecoder":
        images, labels = torch.randint(10, (2, 8, 16), generator=generator)
    weigh = WEIGHTINGS.build(weighting, num_exits=net.num_exits, parameters=net.parameters())
    optimiser = torch.optim.SGD([*net.parameters(), *weigh.parameters()], lr=1e-3)
    before = [parameter.detach().clone() for parameter in net.heads[-1].parameters()]
    objective = weigh(cross_entropy_per_exit(net.train()(images), labels))
    optimiser.zero_grad()
    objective.backward()
    optimiser.step()
    assert objective.ndim == 0
    assert objective.isfinite()
    assert all(parameter.isfinite().all() for parameter in net.parameters())
    after = list(net.heads[-1].parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert weigh.weights.shape == (net.num_exits,)
    assert weigh.weights.isfinite().all()


@pytest.mark.parametrize("network", LARGE_NETWORKS)
def test_a_run_config_reaches_every_large_network(network):
    config = RunConfig(network=network, dataset="ilsvrc")
    with torch.device("meta"):
        assert config.build_network().num_exits >= 2
