import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from anytime_core import (
    EANN,
    AnytimeNetwork,
    Decoding,
    EarlyExit,
    InputError,
    ResANN,
    answer_costs,
    decoder_with_exits,
    exit_costs,
    with_exits,
)
from tests.core.decoders import small_decoder, tokens
from tests.core.inference.networks import KINDS, NETWORKS, SHAPE, made, small, table
from tests.core.on_device import on_device, randn


@pytest.fixture
def images():
    return randn(24, *SHAPE, seed=1)


def full_run(net, images):
    """Logits of the exits that answer, [K, N, classes], and the numbers of these exits."""
    exits = on_device(net.answering_exits)
    with torch.inference_mode():
        return net.eval()(images)[exits - 1], exits


def quantile_thresholds(net, images, share=0.3):
    """Thresholds under which about a share of the images leaves at each exit."""
    logits, _ = full_run(net, images)
    return torch.quantile(logits.softmax(-1).amax(-1)[:-1], 1 - share, dim=1).tolist()


class Counted:
    """Numbers of images in each call of each segment and head; those of the count of costs, without data, left out."""

    def __init__(self, net):
        self.segments, self.heads = [], []
        for modules, sizes in ((net.segments, self.segments), (net.heads, self.heads)):
            for number, module in enumerate(modules, start=1):
                module.register_forward_hook(self.note(number, sizes))

    @staticmethod
    def note(number, sizes):
        def hook(module, args, result):
            state = args[0] if isinstance(args[0], torch.Tensor) else args[0][0]
            if not state.is_meta:
                sizes.append((number, len(state)))

        return hook


# --- answers -------------------------------------------------------------------------------------------------------


def test_each_image_gets_what_the_full_run_gives_at_its_exit(net, images):
    thresholds = quantile_thresholds(net, images)
    logits, exits = full_run(net, images)
    costs = on_device(answer_costs(net, SHAPE))
    sure = logits.softmax(-1).amax(-1) >= on_device([*thresholds, 0.0])[:, None]
    place = sure.int().argmax(0)  # the first
    prediction = EarlyExit(net, thresholds).predict(images)
    assert len(place.unique()) > 2  # several exits take part
    assert torch.equal(prediction.exit, exits[place])
    expected = logits[place, on_device(torch.arange(len(images)))]
    torch.testing.assert_close(prediction.logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(prediction.probabilities, expected.softmax(-1), rtol=1e-4, atol=1e-5)
    assert torch.equal(prediction.macs, costs[place])
    assert prediction.mean_macs == pytest.approx(costs[place].double().mean().item())


def test_company_does_not_matter(net, images):
    early = EarlyExit(net, quantile_thresholds(net, images))
    together = early.predict(images)
    alone = [early.predict(image[None]) for image in images]
    assert [one.exit.item() for one in alone] == together.exit.tolist()
    torch.testing.assert_close(torch.cat([one.logits for one in alone]), together.logits, rtol=1e-4, atol=1e-5)


def test_the_batch_really_shrinks(net, images):
    early = EarlyExit(net, quantile_thresholds(net, images))
    counted = Counted(net)
    prediction = early.predict(images)
    waiting = [int((prediction.exit >= number).sum()) for number in range(1, net.num_exits + 1)]
    assert waiting[0] == len(images) > waiting[len(waiting) // 2] > waiting[-1]
    expected = [(number, waiting[number - 1]) for number in early.exits if waiting[number - 1]]
    assert counted.heads == expected
    # a segment runs with those that wait for the next exit that answers; those after a member's last one do not run
    assert all(size == waiting[number - 1] for number, size in counted.segments)
    assert {number for number, _ in counted.segments} >= {number for number, _ in expected}


def test_all_leave_at_once_or_none_leaves_early(net, images):
    logits, exits = full_run(net, images)
    counted = Counted(net)
    prediction = EarlyExit(net, 0.0).predict(images)
    assert set(prediction.exit.tolist()) == {1}
    assert counted.segments == counted.heads == [(1, len(images))]
    assert prediction.mean_macs == exit_costs(net, SHAPE).macs_fixed[0]
    prediction = EarlyExit(net, math.inf).predict(images)
    assert set(prediction.exit.tolist()) == {int(exits[-1])}
    torch.testing.assert_close(prediction.logits, logits[-1], rtol=1e-4, atol=1e-5)
    assert prediction.mean_macs == answer_costs(net, SHAPE)[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_any_inputs_that_the_network_takes(kind):
    first, inputs = KINDS[kind]
    net = small(first())
    expected, _ = full_run(net, inputs)
    confidence = expected[0].softmax(-1).amax(-1)
    prediction = EarlyExit(net, confidence.median().item()).predict(inputs)  # two of three leave at the first exit
    assert sorted(prediction.exit.tolist()) == [1, 1, 2]
    rows = on_device(torch.arange(3))
    torch.testing.assert_close(prediction.logits, expected[prediction.exit - 1, rows], rtol=1e-4, atol=1e-5)


def test_costs_are_those_of_the_cost_module(net):
    if isinstance(net, EANN):
        fewer = answer_costs(net, SHAPE)
        every = exit_costs(net, SHAPE).macs_cumulative
        assert all(cost <= every[exit - 1] for cost, exit in zip(fewer, EarlyExit(net, 1).exits, strict=True))
        net.adopted.fill_(True)
    assert answer_costs(net, SHAPE) == exit_costs(net, SHAPE).macs_cumulative


def odds(p):
    return [math.log(p / (1 - p)), 0.0]


def test_by_hand():
    # probabilities 0.9, 0.6, 0.7 at exit 1; 0.99, 0.8, 0.6 at exit 2; 0.5 at exit 3
    net, images = table([odds(0.9), odds(0.6), odds(0.3)], [odds(0.99), odds(0.8), odds(0.4)], [odds(0.5)] * 3)
    assert EarlyExit(net, [0.85, 0.75]).predict(images).exit.tolist() == [1, 2, 3]
    assert EarlyExit(net, [0.65, 0.75]).predict(images).exit.tolist() == [1, 2, 1]
    assert EarlyExit(net, 0.95).predict(images).exit.tolist() == [2, 3, 3]
    prediction = EarlyExit(net, [0.85, 0.75]).predict(images)
    assert prediction.probabilities[:, 0].tolist() == pytest.approx([0.9, 0.8, 0.5])


def test_temperatures_change_confidence_and_probabilities_but_not_logits():
    # odds of 9 and T = 2 are odds of 3: 0.75
    net, images = table([odds(0.9)], [odds(0.99)])
    assert EarlyExit(net, 0.8, [1, 1]).predict(images).exit.item() == 1
    prediction = EarlyExit(net, 0.8, [2, 0.5]).predict(images)
    assert prediction.exit.item() == 2
    assert prediction.probabilities[0, 0].item() == pytest.approx(99**2 / (99**2 + 1))
    assert prediction.logits[0, 0].item() == pytest.approx(math.log(99))
    assert EarlyExit(net, 0.74, 2).predict(images).exit.item() == 1


def test_a_confidence_equal_to_the_threshold_leaves_also_where_float64_is_finer():
    net, images = table([[0.0] * 10], [[0.0] * 10])
    assert EarlyExit(net, 0.1).predict(images).exit.item() == 1  # float32 0.1 is not Python's 0.1


LEVELS = st.floats(0, 1) | st.just(math.inf)


@given(data=st.data())
@settings(max_examples=60)
def test_any_thresholds_on_any_logits(data):
    exits, number = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    count = exits * number * 3
    drawn = data.draw(st.lists(st.floats(-9, 9, width=32), min_size=count, max_size=count))
    logits = torch.tensor(drawn).view(exits, number, 3)
    thresholds = data.draw(st.lists(LEVELS, min_size=exits - 1, max_size=exits - 1))
    net, images = table(*logits.tolist())
    prediction = EarlyExit(net, thresholds).predict(images)
    for image in range(number):
        for exit in range(exits):
            if exit == exits - 1 or logits[exit, image].softmax(-1).max() >= np.float32(thresholds[exit]):
                break
        assert prediction.exit[image] == exit + 1
        assert torch.equal(prediction.logits[image], logits[exit, image])


# --- use -----------------------------------------------------------------------------------------------------------


class Turned(nn.Module):
    """Segment whose state does not have a row per image."""

    def forward(self, x):
        return x.transpose(0, 1)


class FirstRow(nn.Module):
    def forward(self, x):
        return x[0, :, 0]


class Stubborn(nn.Module):
    """Head that answers for two inputs where it is given one, but not in the count of costs."""

    def forward(self, x):
        return x[:, 0, 0] if x.is_meta or len(x) == 2 else x[:, 0, 0].repeat(2, 1)


@pytest.mark.parametrize(
    ("segment", "head", "message"),
    [(Turned, FirstRow, r"^state after exit 1: .*\[1, 2, 2, 2\]"), (nn.Identity, Stubborn, r"^exit 2: .*found \[2,")],
)
def test_a_batch_that_cannot_shrink_is_refused_and_not_cut_wrongly(segment, head, message):
    _, images = table([odds(0.9), odds(0.6)], [odds(0.9), odds(0.6)])
    net = AnytimeNetwork([segment(), nn.Identity()], [head(), head()])
    with pytest.raises(InputError, match=message):
        EarlyExit(net, 0.8).predict(images)


class Scaled(nn.Module):
    """A backbone in which a scale per feature, no row of an input, is used before and after its exit."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.logarithm = nn.Linear(4, 4), nn.Linear(4, 3), nn.Parameter(torch.arange(4.0))

    def forward(self, x):
        scale = self.logarithm.exp()
        return self.last(torch.relu(self.first(x) * scale) * scale)


@pytest.mark.parametrize("number", [3, 4])  # 4: as many inputs as the scale has features
def test_a_tensor_that_has_no_row_per_input_is_not_cut_where_its_size_fits_by_chance(number):
    torch.manual_seed(0)
    net, inputs = on_device(with_exits(Scaled(), at=["first"], inputs=(4,))), randn(number, 4)
    sure = net.eval()(inputs)[0].softmax(-1).amax(-1).median().item()
    with pytest.raises(InputError, match=r"^state after exit 1: .*\[4\] for one"):
        EarlyExit(net, sure).predict(inputs)
    assert EarlyExit(net, math.inf).predict(inputs).exit.tolist() == [2] * number  # nothing to cut


def test_texts_are_refused():
    net = decoder_with_exits(small_decoder(), at=[2])
    with pytest.raises(InputError, match=r"^exit 1: expected \[2, classes\], found \[2, 5, 31\]"):
        EarlyExit(net, 0.5).predict(tokens(2, 5))
    confidence = net(tokens(2, 5))[0, :, -1].softmax(-1).amax(-1)
    with pytest.raises(InputError, match=r"^net: .*text"):
        EarlyExit(Decoding(net), confidence.mean().item()).predict(tokens(2, 5))


def test_the_default_device_does_not_matter(images):
    net = made(NETWORKS["resann"])
    expected = EarlyExit(net, 0.3, 1.5).predict(images)
    with torch.device("meta"):
        assert torch.equal(EarlyExit(net, 0.3, 1.5).predict(images).exit, expected.exit)


def test_every_image_is_answered_even_if_logits_are_not_numbers():
    net, images = table([odds(0.9), odds(0.6)], [odds(0.9), odds(0.6)])
    net.heads[0].register_forward_hook(lambda *args: args[-1] * math.nan)
    assert EarlyExit(net, 0.0).predict(images).exit.tolist() == [2, 2]
    net.heads[1].register_forward_hook(lambda *args: args[-1] * math.nan)
    assert EarlyExit(net, 0.0).predict(images).exit.tolist() == [2, 2]


@pytest.mark.parametrize("inputs", [[[0.0]], torch.full((1, *SHAPE), math.nan), torch.zeros(1, 3, 16, 16)])
def test_bad_inputs(inputs):  # the checks are the predictor's
    with pytest.raises(InputError, match=r"^inputs: "):
        EarlyExit(made(NETWORKS["resann"]), 0.5).predict(inputs)


@pytest.mark.parametrize("thresholds", [[0.5], [0.5] * 6, -0.1, 90, math.nan, "high"])
def test_bad_thresholds(thresholds):
    with pytest.raises(InputError, match=r"^thresholds: "):
        EarlyExit(ResANN(n=2, c=4, in_channels=1), thresholds)


@pytest.mark.parametrize("temperatures", [[1.0], 0.0, [1, 1, 1, 1, 1, math.nan], [1, 1, 1, 1, 1, math.inf], "warm"])
def test_bad_temperatures(temperatures):
    with pytest.raises(InputError, match=r"^temperatures: "):
        EarlyExit(ResANN(n=2, c=4, in_channels=1), 0.5, temperatures)
