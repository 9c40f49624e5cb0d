import pytest
from torch import nn

from anytime_study.runs.config import RunConfig
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.decay import decay_groups
from anytime_study.training.loop import TrainingRun

NETS = ["resann(n=1, c=4)", "two_heads(n=1, c=4)", "eann(n=(1, 2), c=4)"]


def decays(net, **options):
    """Parameter name -> its weight decay."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    groups = decay_groups(net, 0.1, **options)
    found = [(names[id(p)], group["weight_decay"]) for group in groups for p in group["params"]]
    assert len(found) == len(names) == len(dict(found))  # each parameter is in one group
    return dict(found)


@pytest.mark.parametrize("network", NETS)
def test_all_but_batch_norm_decays_alike(network):
    net = NETWORKS.build(network, num_classes=10, in_channels=1)
    modules = dict(net.named_modules())
    for name, decay in decays(net).items():
        is_norm = isinstance(modules[name.rpartition(".")[0]], nn.BatchNorm2d)
        assert decay == (0 if is_norm else 0.1)
    assert len(decay_groups(net, 0.1)) == 2


def test_sieve_scales_the_linear_layers_of_the_heads_alone():
    net = NETWORKS.build("resann(n=3, c=2, s=2)", num_classes=10, in_channels=1)  # 5 exits
    plain, scaled = decays(net), decays(net, heads="sieve")
    by_hand = [3 / 7, 1 / 7, 2 / 7, 1 / 7, 1]  # distances 4, 3, 2, 1 from the end weigh 1 + their exponent of 2
    for name, decay in scaled.items():
        part, number, _ = name.split(".", 2)
        is_linear = part == "heads" and ".linear." in name
        assert decay == pytest.approx(plain[name] * (by_hand[int(number)] if is_linear else 1))
    assert sum(".linear." in name for name in scaled) == 10  # weights and biases


def test_a_run_decays_its_heads_as_asked(tiny_config):
    # with opt at the last exit nothing but its decay moves another head
    plain = {"weighting": "opt", "weight_decay": 0.1}
    heads = {}
    for kind in ("same", "sieve"):
        run = TrainingRun(tiny_config(head_weight_decay=kind, **plain))
        before = [head.linear.weight.detach().clone() for head in run.network.heads]
        run.fit(progress=False)
        after = [head.linear.weight.detach() for head in run.network.heads]
        heads[kind] = [1 - (new / old).median().item() for old, new in zip(before, after, strict=True)]
    assert heads["same"][0] == pytest.approx(heads["same"][1], rel=0.01)
    # SIEVE of three exits is 2/3, 1/3, 1; what decay takes in eight steps is nearly proportional to it
    assert heads["sieve"][0] == pytest.approx(heads["same"][0] * 2 / 3, rel=0.05)
    assert heads["sieve"][1] == pytest.approx(heads["same"][1] / 3, rel=0.05)


def test_the_optimiser_of_a_run_gets_these_groups():
    config = RunConfig(network="resann(n=1, c=4)", train_size=64, batch_size=32, head_weight_decay="sieve")
    groups = TrainingRun(config).optimiser.param_groups
    assert sorted({group["weight_decay"] for group in groups}) == pytest.approx([0, 1e-4 / 3, 2e-4 / 3, 1e-4])
