import copy

import pytest
import torch

from anytime_core import AnytimeNetwork, ExitCosts, ResANN, exit_costs
from anytime_core.networks.ensemble import EANN


def by_hand(n, c, s, classes, channels, size):
    """Costs of a ResANN from the sizes of its units alone; ``size`` is divisible by 4.

    Stem: 9·channels·c multiply-adds per pixel. A unit of width w on an area A: two convolutions, 2·9·w²·A; where the
    width doubles to w, (9·w/2·w + 9·w²)·A. Parameters: the same without A, and 2 per channel of each batch norm.
    """
    trunk_macs, trunk_parameters = 9 * channels * c * size**2, 9 * channels * c
    passed_macs = passed_parameters = 0
    rows = []
    for unit in range(3 * n):
        stage, first = divmod(unit, n)
        width, area = c * 2**stage, (size // 2**stage) ** 2
        before = width // 2 if stage and not first else width
        trunk_macs += (9 * before * width + 9 * width**2) * area
        trunk_parameters += 9 * before * width + 9 * width**2 + 2 * before + 4 * width
        if unit % s == (3 * n - 1) % s:
            passed_macs += width * classes
            passed_parameters += (width + 1) * classes
            rows.append(
                (
                    trunk_macs + passed_macs,
                    trunk_macs + width * classes,
                    trunk_parameters + passed_parameters,
                    trunk_parameters + (width + 1) * classes,
                )
            )
    return ExitCosts(*zip(*rows, strict=True))


def test_the_smallest_network_by_hand():
    costs = exit_costs(ResANN(n=1, c=4, num_classes=10, in_channels=1), (1, 8, 8))
    stem, heads = 9 * 4 * 64, [4 * 10, 8 * 10, 16 * 10]
    units = [2 * 9 * 4**2 * 64, 9 * (4 * 8 + 8 * 8) * 16, 9 * (8 * 16 + 16 * 16) * 4]
    trunk = [stem + units[0], stem + sum(units[:2]), stem + sum(units)]
    assert costs.macs_fixed == (20_776, 34_640, 48_544) == tuple(t + h for t, h in zip(trunk, heads, strict=True))
    assert costs.macs_cumulative == (20_776, 34_640 + 40, 48_544 + 40 + 80)  # the heads passed are paid


@pytest.mark.parametrize(
    ("n", "c", "s", "classes", "channels", "size"),
    [(1, 4, 1, 10, 1, 8), (2, 8, 1, 10, 3, 32), (2, 4, 4, 100, 3, 16), (3, 2, 2, 7, 1, 28), (2, 4, 6, 5, 2, 12)],
)
def test_closed_forms_at_every_exit(n, c, s, classes, channels, size):
    net = ResANN(n=n, c=c, s=s, num_classes=classes, in_channels=channels)
    costs = exit_costs(net, (channels, size, size))
    assert costs == by_hand(n, c, s, classes, channels, size)
    assert costs.parameters_cumulative[-1] == sum(parameter.numel() for parameter in net.parameters())


def test_flops_are_twice_the_macs():
    costs = exit_costs(ResANN(n=1, c=2), (3, 8, 8))
    assert costs.flops_cumulative == tuple(2 * macs for macs in costs.macs_cumulative)
    assert costs.flops_cumulative[0] == 2 * (9 * 3 * 2 * 64 + 18 * 4 * 64 + 20)


def test_the_difference_between_the_two_costs_is_the_earlier_heads():
    costs = exit_costs(ResANN(n=2, c=4), (3, 16, 16))
    heads = [width * 10 for width in (4, 4, 8, 8, 16, 16)]
    for kind, biases in [("macs", 0), ("parameters", 10)]:
        cumulative, fixed = getattr(costs, f"{kind}_cumulative"), getattr(costs, f"{kind}_fixed")
        earlier = [sum(head + biases for head in heads[:number]) for number in range(6)]
        assert [c - f for c, f in zip(cumulative, fixed, strict=True)] == earlier


def test_works_for_any_anytime_network():
    net = AnytimeNetwork(
        [torch.nn.Flatten(), torch.nn.Linear(12, 5)], [torch.nn.Linear(12, 2), torch.nn.Linear(5, 2, bias=False)]
    )
    assert exit_costs(net, (3, 2, 2)) == ExitCosts((24, 24 + 60 + 10), (24, 70), (26, 26 + 65 + 10), (26, 75))


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    net = ResANN(n=1, c=2).train(training)
    before = copy.deepcopy(net.state_dict())
    random_state = torch.get_rng_state()
    exit_costs(net, (3, 8, 8))
    assert all(module.training is training for module in net.modules())
    assert {parameter.device.type for parameter in net.parameters()} == {"cpu"}
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert torch.equal(random_state, torch.get_rng_state())


def test_members_of_an_ensemble_are_paid_one_after_the_other():
    first, second = ResANN(n=1, c=4, s=3), ResANN(n=2, c=4, s=3)
    alone = [exit_costs(member, (3, 8, 8)) for member in (first, second)]
    costs = exit_costs(EANN([first, second]), (3, 8, 8))
    assert costs.macs_fixed == alone[0].macs_fixed + alone[1].macs_fixed  # the exit's own member alone
    for kind in ("macs_cumulative", "parameters_cumulative"):
        (finished,), later = getattr(alone[0], kind), getattr(alone[1], kind)
        assert getattr(costs, kind) == (finished, *(finished + cost for cost in later))
