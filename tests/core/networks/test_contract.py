"""What every network keeps to. An entry of the study's registry joins by itself; so does a line in ``OTHERS``."""

import copy
import io
import shutil
from itertools import pairwise

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer, resnet18

from anytime_core import EANN, AnytimeNetwork, MSDNet, ResANN, exit_costs, with_exits
from anytime_core.errors import InputError
from anytime_study.runs.imagenet import resann_imagenet
from anytime_study.runs.registries import NETWORKS

SMALL = {  # smaller than the defaults of the registry's entries
    "resann": "resann(n=1, c=4)",
    "denseann": "denseann(n=2, growth=4, s=2, bottleneck=True)",
    "msdnet": "msdnet(blocks=(2, 3, 2), growth=2, s=2)",
    "eann": "eann(n=(1, 2), c=4, s=2)",
    "msdnet_original": "msdnet_original(num_exits=4, base=2, growth=2, channels=4)",
    "two_heads": "two_heads(n=1, c=4)",
    "gpt": "gpt(width=8, blocks=3, heads=2)",
    "resann_imagenet": "resann_imagenet(depth=14)",
    "denseann_imagenet": "denseann_imagenet(s=29, first_exit=29)",
    "msdnet_imagenet": "msdnet_imagenet(depth=23)",
}


def partly_adopted():
    net = EANN([ResANN(n=1, c=4, s=2), ResANN(n=1, c=4)])
    net.adopt([0.5, 0.6, 0.4, 0.7, 0.3])
    return net


OTHERS = {
    "resann, exits later": lambda: ResANN(n=2, c=4, s=2, first_exit=4),
    "resann18": lambda: resann_imagenet(18, s=4),
    "msdnet, one scale": lambda: MSDNet((4,), growth=3, s=2),
    "eann, partly adopted": partly_adopted,
    "by hand": lambda: AnytimeNetwork(
        [nn.Flatten(), nn.Linear(3 * 32 * 32, 6), nn.Linear(6, 6)], [nn.Linear(3 * 32 * 32, 4), *(nn.Linear(6, 4),) * 2]
    ),
    "chain with exits": lambda: with_exits(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(3600, 10)), ["2"],
        inputs=(3, 32, 32),
    ),
    "resnet with exits": lambda: with_exits(
        resnet18(num_classes=7), ["layer1.0.bn1", "layer2.0.downsample", "layer3"], inputs=(3, 32, 32)
    ),
    "vit with exits": lambda: with_exits(
        VisionTransformer(image_size=32, patch_size=16, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12),
        ["encoder.layers.encoder_layer_0"], inputs=(3, 32, 32), num_classes=7,  # torchvision's own last layer is all 0
    ),
}  # fmt: skip
IDS = torch.arange(12).view(2, 6)  # of tokens, where a network takes those in the place of images
CASES = {
    **{name: lambda name=name: NETWORKS.build(SMALL.get(name, name)) for name in NETWORKS.entries},
    **OTHERS,
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def net(request):
    torch.manual_seed(0)
    return request.param().eval()


@pytest.fixture
def images(net):
    if any(isinstance(part, nn.Embedding) for part in net.segments[0].modules()):
        return IDS
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_stream_equals_forward_bit_for_bit(net, images):
    logits, streamed = net(images), list(net.stream(images))
    assert isinstance(net, AnytimeNetwork)
    assert len(streamed) == net.num_exits == len(net.segments) == len(net.heads)
    assert logits.shape[:2] == (net.num_exits, 2)
    assert logits.isfinite().all()
    assert torch.equal(torch.stack(streamed), logits)
    assert torch.equal(net(images, last_exit=1), logits[:1])


def test_asking_for_k_exits_runs_k_segments_and_k_heads(net, images):
    if len({*net.segments, *net.heads}) < 2 * net.num_exits:
        pytest.skip("a module that stands twice is called twice")
    ran = []
    for kind, modules in [("segment", net.segments), ("head", net.heads)]:
        for number, module in enumerate(modules):
            module.register_forward_hook(lambda *_, kind=kind, number=number: ran.append((kind, number)))
    stream = net.stream(images)
    for asked in range(net.num_exits):
        assert ran == [(kind, number) for number in range(asked) for kind in ("segment", "head")]
        next(stream)


def test_an_exit_teaches_what_leads_to_it_and_nothing_else(net, images):
    net.train()
    logits = net(images)
    parameters = list(net.parameters())
    for first, stop in pairwise([*net.starts, net.num_exits]):  # exits of a member: only an ensemble has several
        for position in range(first, stop):
            loss = logits[position].square().sum()
            found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            reached = {p for p, g in zip(parameters, found, strict=True) if g is not None and g.any()}
            assert reached <= {*net.segments[first : position + 1].parameters(), *net.heads[position].parameters()}, (
                f"exit {position + 1}"
            )
            assert set(net.heads[position].parameters()) <= reached
    net(images).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in parameters)
    for part in [*net.segments, *net.heads]:
        assert not [*part.parameters()] or any(parameter.grad.any() for parameter in part.parameters())


def test_a_state_dict_goes_round_and_a_copy_is_its_own(net, images):
    logits, file = net(images), io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(net(images), logits)
    other.load_state_dict(torch.load(file))
    assert torch.equal(other(images), logits)


def test_parameters_have_one_name_and_belong_to_segments_and_heads(net):
    names = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert {name.split(".")[0] for name in names} == {"segments", "heads"}
    assert {*net.segments.parameters(), *net.heads.parameters()} == set(net.parameters())


def test_compiles_without_a_graph_break(net, images):
    if sum(1 for _ in net.modules()) > 300:
        pytest.skip("a minute of compiling; smaller networks have the same units")
    torch.compiler.reset()
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(images), net(images))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", ["resann", "msdnet"])
def test_a_compiled_training_step_is_the_plain_one(name):
    """The real compiler on two networks. Everywhere else graph breaks are looked for without it, which is faster."""
    torch.manual_seed(0)
    plain = CASES[name]().double()  # so that what differs is a fault and not rounding
    compiled = copy.deepcopy(plain)
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    for call in (plain, torch.compile(compiled, fullgraph=True)):
        call(images).square().sum().backward()
    for (name, one), (_, other) in zip(plain.named_parameters(), compiled.named_parameters(), strict=True):
        torch.testing.assert_close(
            other.grad, one.grad, rtol=1e-6, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_channels_last_gives_the_same(net, images):
    logits = net(images)
    net.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last) if images.ndim == 4 else images
    torch.testing.assert_close(net(images), logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [(28, 28), (7, 7), (5, 9), (1, 1)])
@pytest.mark.parametrize("name", ["resann", "denseann", "msdnet"])
def test_odd_and_small_images(name, size):
    net = CASES[name]().eval()
    logits = net(torch.randn(2, 3, *size))
    assert logits.shape == (net.num_exits, 2, 10)
    assert logits.isfinite().all()


def test_costs_grow_and_all_of_the_network_is_counted_and_left_alone(net, images):
    before, random_state = copy.deepcopy(net.train().state_dict()), torch.get_rng_state()
    costs = exit_costs(net, images)
    assert [len(column) for column in vars(costs).values()] == [net.num_exits] * 4
    assert list(costs.macs_cumulative) == sorted(set(costs.macs_cumulative))
    assert costs.macs_fixed[0] == costs.macs_cumulative[0]
    assert all(fixed <= cumulative for fixed, cumulative in zip(costs.macs_fixed, costs.macs_cumulative, strict=True))
    if len({*net.segments, *net.heads}) == 2 * net.num_exits:
        assert costs.parameters_cumulative[-1] == sum(parameter.numel() for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert all(module.training for module in net.modules())
    assert torch.equal(random_state, torch.get_rng_state())


class Positions(nn.Module):
    """Makes a tensor in each call, as models do with positions and masks, and refuses other widths than 3."""

    def forward(self, x):
        assert x.shape[1] == 3
        return x + torch.arange(3)


def test_costs_of_a_network_that_makes_tensors_or_asserts():
    net = AnytimeNetwork([Positions()], [nn.Linear(3, 2)])
    assert exit_costs(net, (3,)).macs_fixed == (6,)
    with pytest.raises(InputError, match=r"^inputs: .*\(4,\)"):
        exit_costs(net, (4,))
    with pytest.raises(InputError, match=r"^net: .* Linear"):
        exit_costs(net.heads[0], (3,))


def test_adoption_changes_nothing_but_in_an_ensemble(net, images):
    logits = net(images)
    net.adopt([0.5] * net.num_exits)
    first_alone = net.adopted is not None
    assert net.answering_exits == ((1,) if first_alone else tuple(range(1, net.num_exits + 1)))
    assert torch.equal(net(images), logits[:1].expand_as(logits) if first_alone else logits)
