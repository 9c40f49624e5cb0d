import itertools
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from anytime_core import EANN, AnytimeNetwork, AnytimePredictor, EarlyExit, InputError, ResANN, exit_costs, with_exits
from anytime_core.inference import inputs as checks
from anytime_core.inference.latency import ExitLatency, LatencyTable, Quantiles, device_name, fingerprint
from anytime_core.inference.steps import find_steps
from tests.core.inference.networks import KINDS, SHAPE, adopted, small, table, two_resanns
from tests.core.on_device import DEVICE, on_device, randn

ONE, ZEROS = on_device(torch.zeros(1, 1, 2, 2)), on_device(torch.zeros(1, *SHAPE))


@pytest.fixture
def images():
    return randn(3, *SHAPE, seed=1)


def resann(n=1):
    return on_device(ResANN(n=n, c=4, in_channels=1))


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
        if not x.is_meta:
            self.clock.now += self.seconds
            self.calls += 1
            self.then()
        return x


class Answer(Tick):
    """A head: logits in which exit k is sure of class 0 by k."""

    def __init__(self, clock, seconds, number):
        super().__init__(clock, seconds)
        self.number = number
        self.device = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        super().forward(x)
        return torch.tensor([[float(self.number), 0.0]], device=x.device).repeat(len(x), 1)


def ticking(clock, segments=(1.0, 1.0, 1.0), head=0.0):
    heads = [Answer(clock, head, number) for number in range(1, len(segments) + 1)]
    return on_device(AnytimeNetwork([Tick(clock, seconds) for seconds in segments], heads))


def table_of(net, steps, head=0.0):
    """Times of steps that end with a head which takes ``head`` seconds: without the heads on the way, and with them."""
    starts = [step.member_start for step in find_steps(net)]

    def row(exit_number, step):
        place = exit_number - 1
        passed = head * (place - starts[place])
        alone = sum(steps[starts[place] : exit_number]) - passed  # what runs for this exit: its own member
        times = (step, 2), (alone, 1), (alone + passed, 1)
        return ExitLatency(exit_number, *(Quantiles(p50=t / half, p90=t / half, p99=t) for t, half in times))

    return LatencyTable(
        network=fingerprint(net),
        device=device_name(DEVICE),
        threads=torch.get_num_threads(),
        inputs=("float32 [1, 1, 2, 2]",),
        torch=str(torch.__version__),
        rounds=100,
        exits=tuple(row(number, step) for number, step in enumerate(steps, start=1)),
    )


# --- answers -------------------------------------------------------------------------------------------------------


def test_every_exit_answers_what_the_network_does(net, images):
    predictor = AnytimePredictor(net)
    with torch.inference_mode():
        expected = net(images)  # [K, N, classes]
    assert not net.training
    for number in range(1, net.num_exits + 1):
        prediction = predictor.predict(images, exit=number)
        assert torch.equal(prediction.logits, expected[number - 1])
        torch.testing.assert_close(prediction.probabilities, prediction.logits.softmax(1))
        assert prediction.exit == max(found for found in predictor.exits if found <= number)
    streamed = list(predictor.refine(images))
    assert tuple(prediction.exit for prediction in streamed) == predictor.exits
    assert all(torch.equal(prediction.logits, expected[prediction.exit - 1]) for prediction in streamed)
    times = [prediction.elapsed_s for prediction in streamed]
    assert times == sorted(times)
    assert not any(prediction.late for prediction in streamed)


def test_macs_are_those_of_the_cost_module(net, images):
    if isinstance(net, EANN):
        net.adopted.fill_(True)
    predictor, costs = AnytimePredictor(net), exit_costs(net, SHAPE)
    fixed = [predictor.predict(images, exit=number).macs for number in range(1, net.num_exits + 1)]
    assert tuple(fixed) == costs.macs_fixed
    assert tuple(prediction.macs for prediction in predictor.refine(images)) == costs.macs_cumulative


def test_macs_under_a_deadline_are_all_segments_and_one_head(images):
    net = on_device(two_resanns())
    first, second = (exit_costs(ResANN(n=n, c=4, in_channels=1), SHAPE) for n in (1, 2))
    last_head = 16 * 10  # 4 c features, 10 classes
    spent = AnytimePredictor(net).predict(images, deadline=600.0).macs
    assert spent == first.macs_fixed[-1] - last_head + second.macs_fixed[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_any_inputs_that_the_network_takes(kind):
    first, inputs = KINDS[kind]
    net = small(first())
    predictor = AnytimePredictor(net)
    with torch.inference_mode():
        expected = net(inputs)
    assert torch.equal(predictor.predict(inputs, deadline=600.0).logits, expected[-1])
    assert [torch.equal(p.logits, e) for p, e in zip(predictor.refine(inputs), expected, strict=True)] == [True, True]
    assert predictor.predict(inputs, exit=2).macs == exit_costs(net, inputs).macs_fixed[1] > 0


def record_calls(net):
    """Names s1 … and h1 … of segments and heads, in the order in which they run."""
    ran = []
    for kind, modules in {"s": net.segments, "h": net.heads}.items():
        for number, module in enumerate(modules, start=1):
            module.register_forward_hook(lambda *_, name=f"{kind}{number}": ran.append(name))
    return ran


@pytest.mark.parametrize(
    ("build", "limit", "expected"),
    [
        (lambda: resann(n=2), {"exit": 3}, "s1 s2 s3 h3"),
        (lambda: resann(n=2), {"deadline": 600.0}, "s1 s2 s3 s4 s5 s6 h6"),
        (lambda: resann(n=2), {"confidence": 1.0}, "s1 h1 s2 h2 s3 h3 s4 h4 s5 h5 s6 h6"),
        (lambda: resann(n=2), {"confidence": 0.0}, "s1 h1"),
        (two_resanns, {"exit": 5}, "s4 s5 h5"),  # without the member before
        (two_resanns, {"macs": exit_costs(two_resanns(), SHAPE).macs_fixed[4]}, "s4 s5 h5"),
        (lambda: adopted(two_resanns()), {"confidence": 1.0}, "s1 h1 s2 h2 s4 s5 h5 s6 s7 h7 s8 h8"),
    ],
)
def test_only_what_is_needed_runs(images, build, limit, expected):
    net = on_device(build())
    predictor = AnytimePredictor(net)
    predictor.warm_up(images)
    ran = record_calls(net)
    predictor.predict(images, **limit)
    assert " ".join(ran) == expected


def test_a_stream_computes_an_exit_only_when_it_is_asked_for(images):
    net = resann(n=2)
    predictor = AnytimePredictor(net)
    predictor.warm_up(images)
    ran = record_calls(net)
    answers = predictor.refine(images)
    assert ran == []
    next(answers)
    next(answers)
    assert ran == ["s1", "h1", "s2", "h2"]
    assert not torch.is_inference_mode_enabled()  # between answers the caller is in the caller's mode
    answers.close()
    assert ran == ["s1", "h1", "s2", "h2"]


# --- budgets and confidence ----------------------------------------------------------------------------------------


def test_a_budget_buys_the_last_exit_within_it():
    net = resann(n=2)
    predictor, costs = AnytimePredictor(net), exit_costs(net, SHAPE).macs_fixed
    for number, (cost, more) in enumerate(itertools.pairwise([*costs, 2 * costs[-1]]), start=1):
        for budget in (cost, more - 1):
            prediction = predictor.predict(ZEROS, macs=budget)
            assert (prediction.exit, prediction.macs) == (number, cost)
    with pytest.raises(InputError, match=f"^macs: .*{costs[0]}"):
        predictor.predict(ZEROS, macs=costs[0] - 1)


@pytest.mark.parametrize(("confidence", "exit_number"), [(0.5, 1), (0.74, 2), (0.8, 2), (0.9, 3), (1.0, 3)])
def test_confidence_stops_at_the_first_exit_that_is_sure_enough(confidence, exit_number):
    # softmax of [k, 0]: 0.731, 0.881, 0.953
    assert AnytimePredictor(ticking(Clock())).predict(ONE, confidence=confidence).exit == exit_number


def test_a_batch_goes_on_until_all_of_it_is_sure():
    net, inputs = table([[9.0, 0.0], [0.0, 0.0]], [[9.0, 0.0], [9.0, 0.0]], [[9.0, 0.0], [18.0, 0.0]])
    assert AnytimePredictor(net).predict(inputs, confidence=0.99).exit == 2
    assert AnytimePredictor(net).predict(inputs, confidence=0.5).exit == 1  # exactly as sure is enough


# --- deadlines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deadline", "exit_number", "elapsed", "late"),
    [(0.5, 1, 1.0, True), (1.0, 2, 2.0, True), (1.5, 2, 2.0, True), (2.5, 3, 3.0, True), (3.0, 3, 3.0, False)],
)
def test_without_a_table_a_segment_starts_while_there_is_time(deadline, exit_number, elapsed, late):
    clock = Clock()
    prediction = AnytimePredictor(ticking(clock), clock=clock).predict(ONE, deadline=deadline)
    assert (prediction.exit, prediction.elapsed_s, prediction.late) == (exit_number, elapsed, late)


@pytest.mark.parametrize(
    ("deadline", "exit_number", "late"),
    [(0.5, 1, True), (1.0, 1, False), (2.7, 1, False), (2.75, 2, False), (5.7, 2, False), (5.75, 3, False)],
)
def test_with_a_table_nothing_starts_that_cannot_finish(deadline, exit_number, late):
    clock = Clock()
    net = ticking(clock, segments=(0.75, 1.5, 2.5), head=0.25)
    predictor = AnytimePredictor(net, table_of(net, [1.0, 2.0, 3.5]), clock=clock)
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
    predictor = AnytimePredictor(net, table_of(net, [slack * t for t in times]), clock=clock)
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
    predictor = AnytimePredictor(net, table_of(net, [1.0, 1.0, 1.0]), clock=clock)
    net.segments[0].seconds = seconds
    prediction = predictor.predict(ONE, deadline=deadline)
    assert (prediction.exit, prediction.late) == (exit_number, False)


@pytest.mark.parametrize("head", [0.25, 1.0])
def test_a_slow_call_is_noticed_although_its_heads_are_not_run(head):
    """All takes half as long again: what has been run must be held against what is usual for just that."""
    clock = Clock()
    net = ticking(clock, segments=(1.5, 1.5, 1.5), head=1.5 * head)
    predictor = AnytimePredictor(net, table_of(net, [1 + head] * 3, head=head), clock=clock)
    first = 1.5 * (1 + head)
    found = [predictor.predict(ONE, deadline=first + 0.05 * number) for number in range(120)]
    assert not any(prediction.late for prediction in found)
    assert {prediction.exit for prediction in found} == {1, 2, 3}


def two_ticking(clock):
    return EANN([ticking(clock, (1.0, 1.0)), ticking(clock, (2.0, 2.0))])


def test_in_an_eann_usual_is_the_time_of_all_members_so_far():
    net = two_ticking(Clock())
    assert table_of(net, [1.0, 1.0, 2.0, 2.0]).usual([0, 0, 2, 2]) == [1.0, 2.0, 4.0, 6.0]
    with_heads = table_of(net, [1.0, 1.0, 2.0, 2.0], head=0.25)
    assert with_heads.usual([0, 0, 2, 2]) == [0.75, 1.5, 3.25, 5.0]  # the head of the member before is not run


@pytest.mark.parametrize(
    ("adopted", "steps", "deadlines", "expected"),
    [
        ([True] * 4, [1.0, 1.0, 2.0, 2.0], (1.0, 2.5, 4.0, 5.9, 6.0), [(1, 1), (2, 2), (3, 4), (3, 4), (4, 6)]),
        ([True, False, False, True], [1.0, 4.0], (1.0, 4.9, 5.0), [(1, 1), (1, 1), (4, 5)]),
    ],
)
def test_a_deadline_counts_through_the_members_of_an_eann(adopted, steps, deadlines, expected):
    clock = Clock()
    net = on_device(two_ticking(clock))
    net.adopted.copy_(torch.tensor(adopted))
    predictor = AnytimePredictor(net, table_of(net, steps), clock=clock)
    found = [predictor.predict(ONE, deadline=deadline) for deadline in deadlines]
    assert [(prediction.exit, prediction.elapsed_s) for prediction in found] == expected


def test_in_real_time_a_far_deadline_gives_all_and_a_near_one_the_first_exit(images):
    predictor = AnytimePredictor(resann(n=2))
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
    predictor = AnytimePredictor(net)
    net.segments[1].then = predictor.interrupt
    prediction = predictor.predict(ONE, **limit)
    assert (prediction.exit, net.segments[2].calls) == (2, 0)
    assert prediction.logits.tolist() == [[2.0, 0.0]]
    net.segments[1].then = lambda: None
    assert predictor.predict(ONE, exit=3).exit == 3  # a later call is not affected


def test_an_interrupt_comes_from_another_thread_and_ends_all_calls_under_way():
    inside, told = threading.Barrier(3), threading.Event()
    net = ticking(Clock())

    def wait():
        inside.wait(timeout=60)
        assert told.wait(timeout=60)

    predictor = AnytimePredictor(net)
    net.segments[0].then = wait
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(predictor.predict, ONE, exit=3) for _ in range(2)]
        inside.wait(timeout=60)
        predictor.interrupt()
        told.set()
        assert [call.result().exit for call in calls] == [1, 1]


def test_an_interrupt_ends_a_stream_after_its_answer():
    predictor = AnytimePredictor(ticking(Clock()))
    answers = predictor.refine(ONE)
    assert next(answers).exit == 1
    predictor.interrupt()
    assert list(answers) == []
    assert [prediction.exit for prediction in predictor.refine(ONE)] == [1, 2, 3]


def test_threads_do_not_disturb_each_other():
    predictor = AnytimePredictor(resann(n=2))
    inputs = randn(8, 1, *SHAPE)

    def work(image):
        return torch.stack([predictor.predict(image, exit=k).logits for k in range(1, 7)] * 5)

    alone = list(map(work, inputs))
    with ThreadPoolExecutor(8) as pool:
        for mine, theirs in zip(pool.map(work, inputs), alone, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_a_network_can_be_trained_on_and_still_answers_in_evaluation_mode(images):
    net = resann()
    predictor = AnytimePredictor(net)
    before = predictor.predict(images, exit=2).logits
    net.train()
    torch.testing.assert_close(predictor.predict(images, exit=2).logits, before)
    net.train()
    torch.testing.assert_close(list(predictor.refine(images))[1].logits, before)
    net.train()
    net(images).square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def with_batch_norm():
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(400, 3))
    return with_exits(backbone, at=["0"], inputs=SHAPE), backbone


def of_members():
    members = [ResANN(n=n, c=4, in_channels=1) for n in (1, 2)]
    return EANN(members), members[0]


@pytest.mark.parametrize("build", [with_batch_norm, of_members])
def test_a_part_that_is_trained_on_is_put_back_into_evaluation_mode_too(images, build):
    net, part = map(on_device, build())
    predictor = AnytimePredictor(net)
    before = predictor.predict(images, exit=2).logits
    part.train()
    assert torch.equal(predictor.predict(images, exit=2).logits, before)


def test_costs_are_counted_once_for_all_numbers_of_inputs(monkeypatch):
    counted, count = [], checks.step_costs
    monkeypatch.setattr(checks, "step_costs", lambda *given: counted.append(len(given[1])) or count(*given))
    predictor = AnytimePredictor(resann())
    for number in (2, 1, 3):
        predictor.predict(randn(number, *SHAPE), exit=1)
    assert counted == [2]
    for inputs in (ZEROS[:0], ZEROS[0, 0, 0, 0]):  # which such inputs before them do not let in
        with pytest.raises(InputError, match=r"^inputs: "):
            predictor.predict(inputs, exit=1)


def test_exits_that_are_adopted_later_change_neither_what_runs_nor_what_it_costs(images):
    net = on_device(two_resanns())
    predictor = AnytimePredictor(net)
    expected = predictor.predict(images, exit=9).macs
    adopted(net)
    other = randn(3, 1, 8, 8)  # a shape that is new
    assert predictor.predict(images, exit=9).macs == expected
    assert predictor.predict(other, exit=9).macs == exit_costs(net, other).macs_fixed[-1]


def test_confidence_is_that_of_early_exit_in_half_precision_too():
    net, inputs = table([[7.875, 0.0, 0.0, 0.0, 0.0]], [[9.0, 0.0, 0.0, 0.0, 0.0]])
    inputs = inputs.bfloat16()  # in which 0.9985 is 1
    net.heads[0].register_parameter("dtype", nn.Parameter(torch.zeros((), dtype=torch.bfloat16)))
    prediction = AnytimePredictor(net).predict(inputs, confidence=0.999)
    assert prediction.exit == EarlyExit(net, 0.999).predict(inputs).exit.item() == 2
    assert prediction.probabilities.dtype == torch.float32


def test_weights_of_another_precision_can_be_loaded_in_place_of_those_that_were_there(images):
    net = resann()
    predictor = AnytimePredictor(net)
    predictor.predict(images, exit=1)
    net.load_state_dict({name: x.double() for name, x in net.state_dict().items()}, assign=True)
    assert predictor.predict(images.double(), exit=1).logits.dtype == torch.float64


# --- bad input: one clear error ------------------------------------------------------------------------------------

REFUSED = {  # inputs of a network for images, and what the error says that was found
    "array": (np.zeros((1, *SHAPE), np.float32), "ndarray"),
    "text": ({"ids": "words"}, "str"),
    "nothing": ([], "none"),
    "number": (on_device(torch.tensor(1.0)), r"float32 \[\]"),
    "two lengths": ([ZEROS, ZEROS[:0]], r"float32 \[1, 1, 12, 12\] and float32 \[0, 1, 12, 12\]"),
    "no batch": (ZEROS[0], r"\(1, 12, 12\)"),
    "channels": (on_device(torch.zeros(1, 3, 8, 8)), r"\(1, 3, 8, 8\)"),
    "list": ([ZEROS], ""),
    "empty": (ZEROS[:0], r"float32 \[0, 1, 12, 12\]"),
    "uint8": (ZEROS.to(torch.uint8), r"\(1, 1, 12, 12\)"),
    "float64": (ZEROS.double(), "torch.float64"),
    "device": (ZEROS.to("meta"), "torch.float32 on meta"),
    "nan": (ZEROS + math.nan, "NaN or infinity"),
    "infinity": (ZEROS - math.inf, "NaN or infinity"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_inputs_are_refused(case):
    inputs, message = REFUSED[case]
    predictor = AnytimePredictor(resann())
    for call in (lambda: predictor.predict(inputs, exit=1), lambda: predictor.refine(inputs)):
        for _ in range(2):  # what was refused once is not taken as seen
            with pytest.raises(InputError, match=f"^inputs: .*found {message}") as error:
                call()
            assert "\n" not in str(error.value)


def test_whole_numbers_go_only_where_a_network_takes_them():
    with pytest.raises(InputError, match=r"^inputs: .*int64 \[3, 5\]"):
        AnytimePredictor(small(nn.Linear(5, 4))).predict(on_device(torch.ones(3, 5, dtype=torch.int64)), exit=1)


def test_one_bad_value_is_enough_and_an_overflow_of_the_sum_is_none():
    predictor = AnytimePredictor(ticking(Clock()))
    large = on_device(torch.full((1, 1, 2, 2), 3e38))
    assert predictor.predict(large, exit=1).exit == 1
    large[0, 0, 1, 1] = math.nan
    with pytest.raises(InputError, match="found NaN"):
        predictor.predict(large, exit=1)


def test_every_shape_that_fits_is_taken_and_paid():
    net = resann()
    predictor = AnytimePredictor(net)
    for shape in [(1, 8, 8), (1, 12, 10), (1, 8, 8)]:
        macs = predictor.predict(on_device(torch.zeros(2, *shape)), exit=3).macs
        assert macs == exit_costs(net, shape).macs_fixed[2]


BAD_LIMITS = {
    "deadline": (0, -1.0, math.nan, "2", True),
    "exit": (0, -1, 4, 1.0, "1", True),
    "macs": (0, -5, math.nan, "9", True),
    "confidence": (-0.1, 1.1, math.nan, "1", True),
}


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({}, "predict"),
        ({"exit": 1, "deadline": 1.0}, "predict"),
        *(({name: bad}, name) for name, values in BAD_LIMITS.items() for bad in values),
    ],
)
def test_bad_limits_are_refused(limits, field):
    with pytest.raises(InputError, match=f"^{field}: expected ") as error:
        AnytimePredictor(resann()).predict(ZEROS, **limits)
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_will_do():
    predictor = AnytimePredictor(resann())
    assert predictor.predict(ZEROS, exit=np.int64(2)).exit == 2
    assert predictor.predict(ZEROS, deadline=np.float32(600)).exit == 3
    assert predictor.predict(ZEROS, deadline=math.inf).exit == 3


def test_what_has_no_exits_is_refused():
    with pytest.raises(InputError, match=r"^net: .*Linear"):
        AnytimePredictor(nn.Linear(2, 2))
