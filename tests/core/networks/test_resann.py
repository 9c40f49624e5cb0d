import math

import pytest
import torch
from torch import nn

from anytime_core import ResANN, exit_costs
from anytime_core.networks.heads import LinearHead, MSDenseHead
from anytime_core.networks.residual_units import BasicUnit
from anytime_study.runs import config as config_module
from anytime_study.runs.config import RunConfig
from anytime_study.runs.registries import NETWORKS

HEADS = ["linear", "1x1", "bn", "msdense", "rescale"]


def convolutions(net):
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


def without_residual(channels_in, channels_out):
    """A unit whose residual is zero, so that its shortcut is seen alone."""
    unit = BasicUnit(channels_in, channels_out).eval()
    nn.init.zeros_(unit.norm3.weight)
    return unit


# --- size ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "c"), [(1, 2), (1, 16), (2, 8), (5, 16), (7, 32), (9, 16), (3, 64)])
def test_multiply_adds_and_parameters_of_the_convolutions(n, c):
    with torch.device("meta"):
        net = ResANN(n=n, c=c, s=3 * n)  # one exit
    head = 4 * c * 10
    assert exit_costs(net, (3, 32, 32)).macs_fixed == (9 * 1024 * c**2 * (6 * n - 1) + 27 * 1024 * c + head,)
    assert sum(module.weight.numel() for module in convolutions(net)) == 27 * c + c**2 * (378 * n - 90)


def test_the_sizes_that_the_literature_quotes():
    with torch.device("meta"):
        costs = exit_costs(ResANN(n=5, c=16), (3, 32, 32))
    assert len(costs.macs_fixed) == 15
    assert costs.macs_fixed[-1] == pytest.approx(6.89e7, rel=1e-3)
    assert costs.parameters_fixed[-1] == pytest.approx(0.461e6, rel=1e-2)


@pytest.mark.parametrize(
    ("n", "s", "units"),
    [
        (1, 1, [1, 1, 1]),
        (1, 2, [1, 2]),
        (1, 3, [3]),
        (3, 4, [1, 4, 4]),
        (3, 5, [4, 5]),
        (3, 2, [1, 2, 2, 2, 2]),
        (3, 8, [1, 8]),
        (3, 9, [9]),
        (25, 3, [3] * 25),
    ],
)
def test_exits_are_counted_back_from_the_last_unit(n, s, units):
    with torch.device("meta"):
        net = ResANN(n=n, c=2, s=s)
    assert [sum(isinstance(module, BasicUnit) for module in segment) for segment in net.segments] == units
    assert net.num_exits == 1 + (3 * n - 1) // s
    assert sum(isinstance(module, nn.Conv2d) for segment in net.segments for module in segment) == 1  # the first one


def test_channels_double_and_sizes_halve_from_stage_to_stage():
    net = ResANN(n=2, c=4, num_classes=7, in_channels=1).eval()
    state, shapes = torch.zeros(3, 1, 32, 32), []
    for segment in net.segments:
        state = segment(state)
        shapes.append(tuple(state.shape))
    assert shapes == [(3, 4, 32, 32)] * 2 + [(3, 8, 16, 16)] * 2 + [(3, 16, 8, 8)] * 2
    assert [head.linear.in_features for head in net.heads] == [4, 4, 8, 8, 16, 16]
    assert net(torch.zeros(3, 1, 32, 32)).shape == (6, 3, 7)


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(28, [28, 14, 7]), (14, [14, 7, 4]), (7, [7, 4, 2]), (8, [8, 4, 2]), (1, [1, 1, 1]), (5, [5, 3, 2])],
)
def test_odd_and_small_images(size, sizes):
    net = ResANN(n=1, c=2, in_channels=1).eval()
    state, found = torch.randn(2, 1, size, size), []
    for segment in net.segments:
        state = segment(state)
        found.append(state.shape[-1])
    assert found == sizes
    assert net(torch.randn(2, 1, size, size)).isfinite().all()


def test_images_need_not_be_square():
    assert ResANN(n=1, c=2)(torch.randn(2, 3, 9, 16)).shape == (3, 2, 10)


# --- units by hand -------------------------------------------------------------------------------------------------


def test_the_shortcut_keeps_x_where_nothing_changes():
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(without_residual(4, 4)(x), x)


def test_the_shortcut_averages_and_pads_zero_channels_on_both_sides():
    x = torch.tensor([[[1.0, 2], [3, 4]], [[10, 20], [30, 40]]])[None]  # [1, 2, 2, 2]
    assert without_residual(2, 4)(x).flatten().tolist() == [0, 2.5, 25, 0]


def test_the_shortcut_of_an_odd_size_averages_what_exists_at_the_border():
    x = torch.arange(1.0, 10).view(1, 1, 3, 3).expand(1, 2, 3, 3)
    out = without_residual(2, 4)(x)
    assert out[0, 1].tolist() == [[(1 + 2 + 4 + 5) / 4, (3 + 6) / 2], [(7 + 8) / 2, 9]]
    assert torch.equal(out[0, 1], out[0, 2])
    assert out[0, [0, 3]].count_nonzero() == 0


def test_a_unit_by_hand():
    # 1×1 image: a padded 3×3 convolution is its centre weight; batch norm starts as x / sqrt(1 + 1e-5)
    unit = BasicUnit(1, 1).eval()
    for convolution, centre in [(unit.conv1, -2.0), (unit.conv2, 3.0)]:
        nn.init.zeros_(convolution.weight)
        convolution.weight.data[0, 0, 1, 1] = centre
    unit.norm2.bias.data.fill_(5.0)
    scale = 1 / math.sqrt(1 + 1e-5)

    def by_hand(x):
        return x + scale * 3 * max(0, scale * -2 * max(0, scale * x) + 5)

    for x in (-1.0, 0.0, 1.0, 4.0):
        assert unit(torch.full((1, 1, 1, 1), x)).item() == pytest.approx(by_hand(x), rel=1e-6)
    assert unit(torch.full((1, 1, 1, 1), -1.0)).item() > 0  # no activation before the sum: x itself passes …
    nn.init.zeros_(unit.norm3.weight)
    assert unit(torch.full((1, 1, 1, 1), -1.0)).item() == -1  # … and none after it


# --- stopping ------------------------------------------------------------------------------------------------------


def test_stream_equals_forward_bit_for_bit():
    torch.manual_seed(0)
    net = ResANN(n=2, c=4, s=4).eval()
    images = torch.randn(5, 3, 12, 12)
    streamed = list(net.stream(images))
    assert len(streamed) == net.num_exits == 2
    assert torch.equal(torch.stack(streamed), net(images))


@pytest.mark.parametrize("asked", [0, 1, 2, 3])
def test_asking_for_k_exits_runs_k_segments_and_k_heads(asked):
    net = ResANN(n=1, c=2).eval()
    ran = []
    for kind, modules in [("segment", net.segments), ("head", net.heads)]:
        for number, module in enumerate(modules):
            module.register_forward_hook(lambda *_, kind=kind, number=number: ran.append((kind, number)))
    stream = net.stream(torch.zeros(1, 3, 8, 8))
    for _ in range(asked):
        next(stream)
    assert ran == [(kind, number) for number in range(asked) for kind in ("segment", "head")]


# --- initialisation ------------------------------------------------------------------------------------------------


def test_he_initialisation_with_fan_in():
    torch.manual_seed(0)
    net = ResANN(n=2, c=32, num_classes=1000)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = math.sqrt(2 / module.weight[0].numel())
            values = module.weight.detach().flatten()
            tolerance = 4 * std / math.sqrt(2 * len(values))  # fan-out would be off by √2 where channels double
            assert values.std().item() == pytest.approx(std, abs=tolerance)
            assert values.mean().item() == pytest.approx(0, abs=4 * std / math.sqrt(len(values)))
            assert values.abs().max() <= 2 * std / 0.8796  # truncated at two standard deviations of the uncut normal


def test_biases():
    net = ResANN(n=1, c=4)
    assert all(module.bias is None for module in convolutions(net))
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.BatchNorm2d):
            assert module.bias.count_nonzero() == 0
        if isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert (module.eps, module.momentum) == (1e-5, 0.1)


def test_the_seed_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return ResANN(n=1, c=4).state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["segments.0.0.weight"], other["segments.0.0.weight"])


def test_the_spacing_of_exits_does_not_change_the_trunk():
    few, many = ResANN(n=2, c=4, s=6), ResANN(n=2, c=4, s=1)
    shapes = [[tuple(module.weight.shape) for module in convolutions(net)] for net in (few, many)]
    assert shapes[0] == shapes[1]


# --- as a module ---------------------------------------------------------------------------------------------------


def test_every_parameter_gets_a_gradient_from_the_sum_of_the_exits():
    torch.manual_seed(0)
    net = ResANN(n=1, c=4)
    net(torch.randn(8, 3, 8, 8)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_an_exit_gives_no_gradient_to_what_lies_behind_it():
    net = ResANN(n=1, c=4)
    net(torch.randn(8, 3, 8, 8))[1].sum().backward()
    for number in range(3):
        gradients = [parameter.grad for parameter in net.segments[number].parameters()]
        assert all(g is not None and g.abs().sum() > 0 for g in gradients) == (number < 2)
        assert any(g is not None and g.abs().sum() > 0 for g in gradients) == (number < 2)


def test_repr_shows_the_size():
    first_lines = repr(ResANN(n=2, c=8, s=3)).splitlines()[:2]
    assert first_lines == [
        "ResANN(",
        "  n=2, c=8, s=3, head=linear, first_exit=1, gradient_passed=1.0, num_exits=2",
    ]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("gradient_passed", [1.0, 0.5])
def test_compiles_without_a_graph_break(head, gradient_passed):
    torch.manual_seed(0)
    torch.compiler.reset()
    net = ResANN(n=1, c=4, head=head, gradient_passed=gradient_passed).eval()
    images = torch.randn(2, 3, 9, 9)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(images), net(images))


@pytest.mark.parametrize("name", ["n", "c", "s", "num_classes", "in_channels"])
@pytest.mark.parametrize("value", [0, -3])
def test_numbers_below_one_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"ResANN {name}: expected at least 1, found {value}"):
        ResANN(**{name: value})


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match=r"ResANN c: expected an even number .*, found 7"):
        ResANN(c=7)


def test_a_segment_longer_than_the_network_is_refused():
    with pytest.raises(ValueError, match=r"ResANN s: expected at most the 6 units that n = 2 gives, found 7"):
        ResANN(n=2, s=7)


@pytest.mark.parametrize("value", [0, 7])
def test_a_first_exit_outside_the_network_is_refused(value):
    with pytest.raises(
        ValueError, match=rf"ResANN first_exit: expected 1 to 6, the units that n = 2 .*, found {value}"
    ):
        ResANN(n=2, first_exit=value)


# --- options -------------------------------------------------------------------------------------------------------


def test_names_of_runs_do_not_change(monkeypatch):
    monkeypatch.setattr(config_module, "PROTOCOL", 1)
    assert RunConfig().name == "digits-resann-adaloss-seed0-f12f2e92b789"
    spelt_out = "resann(7, 32, 1, head='linear', first_exit=1, gradient_passed=1)"
    assert NETWORKS.parse(spelt_out).text == "resann(n=7, c=32)"
    assert NETWORKS.parse("resann(head='bn', s=3)").text == "resann(s=3, head='bn')"


def test_a_name_with_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match=r"option head of resann: expected 'linear', '1x1', .*, found 'fc'"):
        NETWORKS.parse("resann(head='fc')")


@pytest.mark.parametrize("head", HEADS)
def test_one_step_of_training_with_every_head(head):
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, head=head)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    logits = net(torch.randn(4, 3, 28, 28))
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.arange(4).repeat(3)).backward()
    optimiser.step()
    assert logits.shape == (3, 4, 10)
    assert all(not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("head", HEADS)
def test_streaming_with_every_head_equals_forward_bit_for_bit(head):
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, head=head).eval()
    images = torch.randn(2, 3, 12, 12)
    assert torch.equal(torch.stack(list(net.stream(images))), net(images))


def test_rescale_spares_the_last_stage_and_msdense_is_128_wide():
    assert [head.size for head in ResANN(n=2, c=2, head="rescale").heads] == [7, 7, 7, 7, None, None]
    heads = ResANN(n=1, c=2, head="msdense").heads
    assert all(isinstance(head, MSDenseHead) and head.conv1.out_channels == 128 for head in heads)
    assert all(isinstance(head, LinearHead) for head in ResANN(n=1, c=2).heads)


@pytest.mark.parametrize(
    ("first_exit", "s", "units"), [(1, 1, [1] * 6), (3, 1, [3, 1, 1, 1]), (3, 2, [4, 2]), (4, 2, [4, 2]), (6, 1, [6])]
)
def test_exits_before_the_first_one_are_left_out(first_exit, s, units):
    net = ResANN(n=2, c=2, s=s, first_exit=first_exit)
    assert [sum(isinstance(module, BasicUnit) for module in segment) for segment in net.segments] == units
    assert net.num_exits == 1 + (6 - first_exit) // s


def test_without_gradient_each_segment_is_trained_by_its_own_exit():
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, gradient_passed=0.0)
    joint = ResANN(n=1, c=4)
    joint.load_state_dict(net.state_dict())
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(net.eval()(images), joint.eval()(images))
    logits = net.train()(images)

    def gradients(exit_number):
        parameters = list(net.segments[0].parameters())
        found = torch.autograd.grad(logits[exit_number - 1].square().sum(), parameters, retain_graph=True)
        return sum(gradient.abs().sum().item() for gradient in found)

    assert gradients(1) > 0
    assert gradients(2) == gradients(3) == 0


# --- for ImageNet --------------------------------------------------------------------------------------------------


def test_imagenet_hands_every_option_on():
    with torch.device("meta"):
        net = ResANN.imagenet(
            26, s=3, head="bn", resnext=True, first_exit=3, gradient_passed=0.5, num_classes=7, in_channels=1
        )
    assert repr(net).splitlines()[1].strip() == (
        "depth=26, s=3, head=bn, resnext=True, first_exit=3, gradient_passed=0.5, num_exits=2"
    )
    assert net.heads[0].linear.out_features == 7
    assert net.segments[0][0][0].in_channels == 1
