import itertools
import math
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from anytime_core import EANN, AnytimeNetwork, AnytimePredictor, MSDNet, ResANN, exit_costs
from anytime_core.errors import InputError
from anytime_core.inference.device import device_name
from anytime_core.inference.latency import ExitLatency, LatencyTable, Quantiles, fingerprint
from anytime_core.inference.steps import find_steps
from anytime_core.networks.ensemble import eann

SHAPE = (1, 8, 8)
NETWORKS = {
    "resann": lambda: ResANN(n=2, c=4, in_channels=1),
    "segments of two units": lambda: ResANN(n=2, c=4, s=2, in_channels=1),
    "msdnet": lambda: MSDNet(blocks=(3, 3), growth=2, in_channels=1),
    "eann": lambda: eann(n=(1, 2), c=4, s=1, in_channels=1),
    "eann, some adopted": lambda: adopted(eann(n=(1, 2), c=4, s=1, in_channels=1)),
}


def adopted(net):
    net.adopt([0.5, 0.4, 0.45, 0.6, 0.3, 0.35, 0.2, 0.1, 0.15])  # exits 1, 2, 5, 7 and 8 of 9
    return net


@pytest.fixture(params=NETWORKS)
def net(request):
    torch.manual_seed(0)
    net = NETWORKS[request.param]().train()
    for _ in range(3):  # running statistics that differ from those of one batch
        net(torch.randn(16, *SHAPE))
    return net


@pytest.fixture
def images():
    return torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1))


class Clock:
    """Time that passes only when somebody says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Tick(nn.Module):
    """Passes its input on, and takes some time on a clock."""

    def __init__(self, clock, seconds, then=lambda: None):
        super().__init__()
        self.clock, self.seconds, self.then = clock, seconds, then
        self.calls = 0

    def forward(self, x):
        self.clock.now += self.seconds
        self.calls += 1
        self.then()
        return x


class Answer(Tick):
    """A head: logits in which exit k is sure of class 0 by k."""

    def __init__(self, clock, seconds, number):
        super().__init__(clock, seconds)
        self.number = number

    def forward(self, x):
        super().forward(x)
        return torch.tensor([[float(self.number), 0.0]]).repeat(len(x), 1)


def ticking(clock, segments=(1.0, 1.0, 1.0), head=0.0):
    return AnytimeNetwork(
        [Tick(clock, seconds) for seconds in segments],
        [Answer(clock, head, number) for number in range(1, len(segments) + 1)],
    )


def table_of(net, steps, shape=(1, 1, 2, 2), head=0.0):
    """Times of steps that end with a head which takes ``head`` seconds: without the heads on the way, and with them."""
    starts = [step.member_start for step in find_steps(net)]

    def row(exit_number, step):
        place = exit_number - 1
        passed = head * (place - starts[place])
        alone = sum(steps[starts[place] : exit_number]) - passed  # what runs for this exit: its own member
        times = (step, 2), (alone, 1), (alone + passed, 1)
        step_times, fixed, streamed = (Quantiles(p50=t / half, p90=t / half, p99=t) for t, half in times)
        return ExitLatency(exit=exit_number, step=step_times, fixed=fixed, streamed=streamed)

    return LatencyTable(
        network=fingerprint(net),
        device=device_name(torch.device("cpu")),
        threads=torch.get_num_threads(),
        batch_size=shape[0],
        image_shape=shape[1:],
        torch=str(torch.__version__),
        rounds=100,
        exits=tuple(row(number, step) for number, step in enumerate(steps, start=1)),
    )


PIXELS = (1, 2, 2)
ONE = torch.zeros(1, *PIXELS)


# --- answers -------------------------------------------------------------------------------------------------------


def test_every_exit_answers_what_the_network_does(net, images):
    predictor = AnytimePredictor(net, SHAPE)
    with torch.inference_mode():
        expected = net(images)  # [K, N, classes]
    assert not net.training
    assert len(expected) == net.num_exits
    for number in range(1, net.num_exits + 1):
        prediction = predictor.predict(images, exit=number)
        torch.testing.assert_close(prediction.logits, expected[number - 1], rtol=0, atol=0)
        torch.testing.assert_close(prediction.probabilities, prediction.logits.softmax(1))
        torch.testing.assert_close(expected[prediction.exit - 1], expected[number - 1], rtol=0, atol=0)
        assert prediction.exit == max(found for found in predictor.exits if found <= number)


def test_streaming_gives_every_answer_in_order(net, images):
    predictor = AnytimePredictor(net, SHAPE)
    with torch.inference_mode():
        expected = net(images)
    predictions = list(predictor.refine(images))
    assert tuple(prediction.exit for prediction in predictions) == predictor.exits
    for prediction in predictions:
        torch.testing.assert_close(prediction.logits, expected[prediction.exit - 1], rtol=0, atol=0)
    times = [prediction.elapsed_s for prediction in predictions]
    assert times == sorted(times)
    assert not any(prediction.late for prediction in predictions)


def test_macs_are_those_of_the_cost_module(net, images):
    if isinstance(net, EANN):
        net.adopted.fill_(True)
    predictor, costs = AnytimePredictor(net, SHAPE), exit_costs(net, SHAPE)
    fixed = [predictor.predict(images, exit=number).macs for number in range(1, net.num_exits + 1)]
    streamed = [prediction.macs for prediction in predictor.refine(images)]
    assert tuple(fixed) == costs.macs_fixed
    assert tuple(streamed) == costs.macs_cumulative


def test_macs_under_a_deadline_are_all_segments_and_one_head(images):
    net = eann(n=(1, 2), c=4, s=1, in_channels=1)
    predictor, costs = AnytimePredictor(net, SHAPE), exit_costs(net, SHAPE)
    first = exit_costs(ResANN(n=1, c=4, in_channels=1), SHAPE)
    heads = first.macs_cumulative[-1] - first.macs_fixed[-1]  # all but the last head of the first member
    last_head = 16 * 10  # 4 c features, 10 classes
    spent = predictor.predict(images, deadline=60.0).macs
    assert spent == first.macs_fixed[-1] - last_head + costs.macs_fixed[-1]
    assert spent < costs.macs_cumulative[-1] - heads


def test_exits_that_are_not_adopted_cost_nothing(images):
    net = adopted(eann(n=(1, 2), c=4, s=1, in_channels=1))
    predictor = AnytimePredictor(net, SHAPE)
    assert predictor.exits == (1, 2, 5, 7, 8)
    ran = record_calls([*net.segments, *net.heads])
    all_adopted = AnytimePredictor(eann(n=(1, 2), c=4, s=1, in_channels=1), SHAPE)
    *_, mine = predictor.refine(images)
    assert ran == ["s1", "h1", "s2", "h2", "s4", "s5", "h5", "s6", "s7", "h7", "s8", "h8"]
    *_, theirs = (prediction for prediction in all_adopted.refine(images) if prediction.exit <= 8)
    assert mine.macs < theirs.macs


def record_calls(modules):
    """Names s1 … and h1 … of segments and heads, in the order in which they run."""
    ran, half = [], len(modules) // 2
    for index, module in enumerate(modules):
        name = f"s{index + 1}" if index < half else f"h{index - half + 1}"
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    return ran


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"exit": 3}, ["s1", "s2", "s3", "h3"]),
        ({"deadline": 60.0}, ["s1", "s2", "s3", "s4", "s5", "s6", "h6"]),
        ({"confidence": 1.0}, [f"{kind}{k}" for k in range(1, 7) for kind in "sh"]),
        ({"confidence": 0.0}, ["s1", "h1"]),
    ],
)
def test_only_the_heads_that_are_needed_run(images, limit, expected):
    net = ResANN(n=2, c=4, in_channels=1)
    predictor = AnytimePredictor(net, SHAPE)
    ran = record_calls([*net.segments, *net.heads])
    predictor.predict(images, **limit)
    assert ran == expected


def test_a_fixed_exit_of_an_eann_skips_the_members_before(images):
    net = eann(n=(1, 2), c=4, s=1, in_channels=1)
    predictor, costs = AnytimePredictor(net, SHAPE), exit_costs(net, SHAPE)
    ran = record_calls([*net.segments, *net.heads])
    predictor.predict(images, exit=5)
    assert ran == ["s4", "s5", "h5"]
    ran.clear()
    predictor.predict(images, macs=costs.macs_fixed[4])
    assert ran == ["s4", "s5", "h5"]


def test_a_stream_computes_an_exit_only_when_it_is_asked_for(images):
    net = ResANN(n=2, c=4, in_channels=1)
    predictor = AnytimePredictor(net, SHAPE)
    ran = record_calls([*net.segments, *net.heads])
    answers = predictor.refine(images)
    assert ran == []
    next(answers)
    next(answers)
    assert ran == ["s1", "h1", "s2", "h2"]
    assert not torch.is_inference_mode_enabled()  # between answers the caller is in the caller's mode
    answers.close()
    del answers
    assert ran == ["s1", "h1", "s2", "h2"]
    assert predictor.predict(images, exit=1).exit == 1


# --- budgets -------------------------------------------------------------------------------------------------------


@given(share=st.floats(0, 1.2))
def test_a_budget_buys_the_last_exit_within_it(share):
    predictor, costs = BUDGETED
    budget = share * costs[-1]
    if budget < costs[0]:
        with pytest.raises(InputError, match=f"macs: expected at least {costs[0]}, the cost of the cheapest exit"):
            predictor.predict(torch.zeros(1, *SHAPE), macs=budget)
        return
    prediction = predictor.predict(torch.zeros(1, *SHAPE), macs=budget)
    assert prediction.exit == sum(cost <= budget for cost in costs)
    assert prediction.macs == costs[prediction.exit - 1] <= budget


_net = ResANN(n=2, c=4, in_channels=1)
BUDGETED = AnytimePredictor(_net, SHAPE), exit_costs(_net, SHAPE).macs_fixed


# --- confidence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("confidence", "exit_number"), [(0.5, 1), (0.74, 2), (0.8, 2), (0.9, 3), (1.0, 3)])
def test_confidence_stops_at_the_first_exit_that_is_sure_enough(confidence, exit_number):
    # softmax of [k, 0]: 0.731, 0.881, 0.953
    prediction = AnytimePredictor(ticking(Clock()), PIXELS).predict(ONE, confidence=confidence)
    assert prediction.exit == exit_number


def test_a_batch_goes_on_until_all_of_it_is_sure():
    class Half(nn.Module):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def forward(self, _images):
            return torch.tensor([[9.0, 0.0], [9.0 * (self.number - 1), 0.0]])

    predictor = AnytimePredictor(AnytimeNetwork([nn.Identity()] * 3, [Half(k) for k in (1, 2, 3)]))
    assert predictor.predict(torch.zeros(2, 1, 2, 2), confidence=0.99).exit == 2


# --- deadlines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deadline", "exit_number", "elapsed", "late"),
    [(0.5, 1, 1.0, True), (1.0, 2, 2.0, True), (1.5, 2, 2.0, True), (2.5, 3, 3.0, True), (3.0, 3, 3.0, False)],
)
def test_without_a_table_a_segment_starts_while_there_is_time(deadline, exit_number, elapsed, late):
    clock = Clock()
    prediction = AnytimePredictor(ticking(clock), PIXELS, clock=clock).predict(ONE, deadline=deadline)
    assert (prediction.exit, prediction.elapsed_s, prediction.late) == (exit_number, elapsed, late)


@pytest.mark.parametrize(
    ("deadline", "exit_number", "late"),
    [(0.5, 1, True), (1.0, 1, False), (2.7, 1, False), (2.75, 2, False), (5.7, 2, False), (5.75, 3, False)],
)
def test_with_a_table_nothing_starts_that_cannot_finish(deadline, exit_number, late):
    clock = Clock()
    net = ticking(clock, segments=(0.75, 1.5, 2.5), head=0.25)
    predictor = AnytimePredictor(net, PIXELS, table_of(net, [1.0, 2.0, 3.5]), clock=clock)
    prediction = predictor.predict(ONE, deadline=deadline)
    assert (prediction.exit, prediction.late) == (exit_number, late)
    assert [head.calls for head in net.heads] == [number == exit_number for number in (1, 2, 3)]


@given(
    times=st.lists(st.floats(0.01, 5), min_size=1, max_size=6),
    slack=st.floats(1, 2),
    deadline=st.floats(0.001, 40),
)
def test_with_a_table_that_holds_only_the_first_exit_can_be_late(times, slack, deadline):
    clock = Clock()
    net = ticking(clock, segments=times)
    predictor = AnytimePredictor(net, PIXELS, table_of(net, [slack * t for t in times]), clock=clock)
    prediction = predictor.predict(ONE, deadline=deadline)
    ends = list(itertools.accumulate(times))
    assert prediction.elapsed_s == pytest.approx(ends[prediction.exit - 1])
    assert prediction.late == (prediction.elapsed_s > deadline)
    assert not prediction.late or prediction.exit == 1
    if prediction.exit < len(times):  # it did not give up too early either
        assert ends[prediction.exit - 1] + slack * times[prediction.exit] > deadline * (1 - 1e-9)


@pytest.mark.parametrize(
    ("seconds", "deadline", "exit_number"),
    [
        (1.5, 3.0, 2),  # half as slow again, so the next step is allowed 1.5
        (1.5, 2.99, 1),
        (0.5, 1.5, 2),  # faster than usual: the table holds
        (0.5, 1.49, 1),
        (10.0, 12.0, 2),  # a pause: no step is allowed more than twice its time
        (10.0, 11.99, 1),
    ],
)
def test_a_call_that_is_slow_so_far_expects_to_be_slow_on(seconds, deadline, exit_number):
    clock = Clock()
    net = ticking(clock)
    predictor = AnytimePredictor(net, PIXELS, table_of(net, [1.0, 1.0, 1.0]), clock=clock)
    net.segments[0].seconds = seconds
    prediction = predictor.predict(ONE, deadline=deadline)
    assert (prediction.exit, prediction.late) == (exit_number, False)


@pytest.mark.parametrize("head", [0.25, 1.0])
def test_a_slow_call_is_noticed_although_its_heads_are_not_run(head):
    """All takes half as long again: what has been run must be held against what is usual for just that."""
    clock = Clock()
    net = ticking(clock, segments=(1.5, 1.5, 1.5), head=1.5 * head)
    predictor = AnytimePredictor(net, PIXELS, table_of(net, [1 + head] * 3, head=head), clock=clock)
    first = 1.5 * (1 + head)
    found = [predictor.predict(ONE, deadline=first + 0.05 * number) for number in range(120)]
    assert not any(prediction.late for prediction in found)
    assert {prediction.exit for prediction in found} == {1, 2, 3}


def test_in_an_eann_usual_is_the_time_of_all_members_so_far():
    clock = Clock()
    net = EANN([ticking(clock, (1.0, 1.0)), ticking(clock, (2.0, 2.0))])
    assert table_of(net, [1.0, 1.0, 2.0, 2.0]).usual([0, 0, 2, 2]) == [1.0, 2.0, 4.0, 6.0]
    with_heads = table_of(net, [1.0, 1.0, 2.0, 2.0], head=0.25)
    assert with_heads.usual([0, 0, 2, 2]) == [1.0, 1.75, 3.5, 5.25]  # the head of the member before is not run
    assert with_heads.usual([0, 0, 2, 2], heads=False) == [0.75, 1.5, 3.25, 5.0]


def test_a_deadline_counts_through_the_members_of_an_eann():
    clock = Clock()
    net = EANN([ticking(clock, (1.0, 1.0)), ticking(clock, (2.0, 2.0))])
    predictor = AnytimePredictor(net, PIXELS, table_of(net, [1.0, 1.0, 2.0, 2.0]), clock=clock)
    found = [predictor.predict(ONE, deadline=deadline).exit for deadline in (1.0, 2.5, 4.0, 5.9, 6.0)]
    assert found == [1, 2, 3, 3, 4]
    net = EANN([ticking(clock, (1.0, 1.0)), ticking(clock, (2.0, 2.0))], adopted=[True, False, False, True])
    predictor = AnytimePredictor(net, PIXELS, table_of(net, [1.0, 4.0]), clock=clock)
    found = [predictor.predict(ONE, deadline=deadline) for deadline in (1.0, 4.9, 5.0)]
    assert [(prediction.exit, prediction.elapsed_s) for prediction in found] == [(1, 1.0), (1, 1.0), (4, 5.0)]


def test_in_real_time_a_far_deadline_gives_all_and_a_near_one_the_first_exit():
    predictor = AnytimePredictor(ResANN(n=2, c=4, in_channels=1), SHAPE)
    images = torch.zeros(1, *SHAPE)
    predictor.warm_up(images)
    start = time.perf_counter()
    far = predictor.predict(images, deadline=600.0)
    assert 0 < far.elapsed_s <= time.perf_counter() - start
    assert (far.exit, far.late) == (6, False)
    near = predictor.predict(images, deadline=1e-9)
    assert (near.exit, near.late) == (1, True)


# --- interruption --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{"exit": 3}, {"deadline": 1000.0}, {"macs": 1e9}, {"confidence": 1.0}])
def test_an_interrupt_ends_the_call_with_the_segment_it_is_in(limit):
    net = ticking(Clock())
    predictor = AnytimePredictor(net, PIXELS)
    net.segments[1].then = predictor.interrupt
    prediction = predictor.predict(ONE, **limit)
    assert (prediction.exit, net.segments[2].calls) == (2, 0)
    assert prediction.logits.tolist() == [[2.0, 0.0]]
    net.segments[1].then = lambda: None
    assert predictor.predict(ONE, exit=3).exit == 3  # a later call is not affected


def test_an_interrupt_comes_from_another_thread_and_ends_all_calls_under_way():
    clock, inside, told = Clock(), threading.Barrier(3), threading.Event()
    net = ticking(clock)

    def wait():
        inside.wait(timeout=60)
        assert told.wait(timeout=60)

    predictor = AnytimePredictor(net, PIXELS)
    net.segments[0].then = wait
    found = []
    calls = [threading.Thread(target=lambda: found.append(predictor.predict(ONE, exit=3).exit)) for _ in range(2)]
    for call in calls:
        call.start()
    inside.wait(timeout=60)
    predictor.interrupt()
    told.set()
    for call in calls:
        call.join(timeout=60)
    assert found == [1, 1]


def test_an_interrupt_ends_a_stream_after_its_answer():
    predictor = AnytimePredictor(ticking(Clock()), PIXELS)
    answers = predictor.refine(ONE)
    assert next(answers).exit == 1
    predictor.interrupt()
    assert list(answers) == []
    assert [prediction.exit for prediction in predictor.refine(ONE)] == [1, 2, 3]


def test_threads_do_not_disturb_each_other():
    net = ResANN(n=2, c=4, in_channels=1)
    predictor = AnytimePredictor(net, SHAPE)
    inputs = torch.randn(8, 1, *SHAPE)
    alone = [[p.logits for p in predictor.refine(image)] for image in inputs]
    together = [None] * len(inputs)

    def work(index):
        for _ in range(5):
            together[index] = [predictor.predict(inputs[index], exit=k).logits for k in range(1, 7)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for mine, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(torch.stack(mine), torch.stack(theirs))


# --- a network that goes on living ---------------------------------------------------------------------------------


def test_a_network_that_is_trained_on_answers_in_evaluation_mode(images):
    net = ResANN(n=1, c=4, in_channels=1)
    predictor = AnytimePredictor(net, SHAPE)
    before = predictor.predict(images, exit=2).logits
    net.train()
    torch.testing.assert_close(predictor.predict(images, exit=2).logits, before)
    net.train()
    torch.testing.assert_close(list(predictor.refine(images))[1].logits, before)


def test_a_network_can_be_trained_after_it_was_used(images):
    net = ResANN(n=1, c=4, in_channels=1)
    AnytimePredictor(net, SHAPE).predict(images, exit=1)
    net.train()
    net(images).square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


# --- bad input: one clear error ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((1, *SHAPE), np.float32), "images: expected a tensor .*, found ndarray"),
        (torch.zeros(SHAPE), r"images: expected four dimensions \[N, C, H, W\], found shape \[1, 8, 8\]"),
        (torch.zeros(1, 1, 8, 9), r"images: expected shape \[N, 1, 8, 8\], found \[1, 1, 8, 9\]"),
        (torch.zeros(1, 3, 8, 8), r"images: expected shape \[N, 1, 8, 8\], found \[1, 3, 8, 8\]"),
        (torch.zeros(0, *SHAPE), "images: expected at least one, found an empty batch"),
        (torch.zeros(1, *SHAPE, dtype=torch.uint8), "images: expected torch.float32 on cpu, .*found torch.uint8"),
        (torch.zeros(1, *SHAPE, dtype=torch.float64), "images: expected torch.float32 on cpu, .*found torch.float64"),
        (torch.zeros(1, *SHAPE, device="meta"), "images: expected torch.float32 on cpu, .*found torch.float32 on meta"),
        (torch.full((1, *SHAPE), math.nan), "images: expected finite numbers, found NaN or infinity"),
        (torch.full((1, *SHAPE), -math.inf), "images: expected finite numbers, found NaN or infinity"),
    ],
)
def test_bad_images_are_refused(given, message):
    predictor = AnytimePredictor(ResANN(n=1, c=4, in_channels=1), SHAPE)
    for call in (lambda: predictor.predict(given, exit=1), lambda: predictor.refine(given)):
        for _ in range(2):  # what was refused once is not taken as seen
            with pytest.raises(InputError, match=message):
                call()


def test_one_bad_pixel_is_enough():
    predictor = AnytimePredictor(ResANN(n=1, c=4, in_channels=1), SHAPE)
    images = torch.zeros(2, *SHAPE)
    predictor.predict(images, exit=1)
    images[1, 0, 7, 7] = math.nan
    with pytest.raises(InputError, match="found NaN"):
        predictor.predict(images, exit=1)


def test_pixels_whose_sum_overflows_are_numbers():
    predictor = AnytimePredictor(ticking(Clock()), PIXELS)
    assert predictor.predict(torch.full((1, 1, 2, 2), 3e38), exit=1).exit == 1


def test_a_shape_that_the_network_cannot_take_is_told():
    net = ResANN(n=1, c=4, in_channels=1)
    with pytest.raises(InputError, match=r"inputs: expected a shape that the network takes, found \(3, 8, 8\): "):
        AnytimePredictor(net).predict(torch.zeros(1, 3, 8, 8), exit=1)
    with pytest.raises(InputError, match=r"found \(2, 8, 8\): "):
        AnytimePredictor(net, (2, 8, 8))


def test_without_a_shape_every_shape_that_fits_is_taken():
    net = ResANN(n=1, c=4, in_channels=1)
    predictor = AnytimePredictor(net)
    for shape in ((1, 8, 8), (1, 12, 10)):
        assert predictor.predict(torch.zeros(2, *shape), exit=3).macs == exit_costs(net, shape).macs_fixed[2]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "predict: expected one of deadline, macs, exit, confidence, found none"),
        ({"exit": 1, "deadline": 1.0}, "found deadline and exit"),
        ({"exit": 1, "deadline": 1.0, "macs": 1, "confidence": 1}, "found deadline and macs and exit and confidence"),
        *(({"deadline": bad}, "deadline: expected more than 0 seconds") for bad in (0, -1.0, math.nan, "2", True)),
        *(({"exit": bad}, "exit: expected 1 to 3, found") for bad in (0, -1, 4, 1.0, "1", True)),
        *(({"macs": bad}, "macs: expected at least [0-9]+, ") for bad in (0, -5, math.nan, "9", True)),
        *(({"confidence": bad}, "confidence: expected 0 to 1, found") for bad in (-0.1, 1.1, math.nan, "1", True)),
    ],
)
def test_bad_limits_are_refused(limits, message):
    predictor = AnytimePredictor(ResANN(n=1, c=4, in_channels=1), SHAPE)
    with pytest.raises(InputError, match=message) as error:
        predictor.predict(torch.zeros(1, *SHAPE), **limits)
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_will_do():
    predictor = AnytimePredictor(ResANN(n=1, c=4, in_channels=1), SHAPE)
    images = torch.zeros(1, *SHAPE)
    assert predictor.predict(images, exit=np.int64(2)).exit == 2
    assert predictor.predict(images, deadline=np.float32(60)).exit == 3
    assert predictor.predict(images, deadline=math.inf).exit == 3
