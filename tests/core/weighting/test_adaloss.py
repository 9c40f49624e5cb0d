import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torchjd import Stateful
from torchjd.scalarization import Scalarizer

from anytime_core import AdaLoss
from anytime_core.weighting.base import BadLoss
from tests.core.on_device import DEVICE, on_device
from tests.core.weighting.reference import adaloss_weights

FORMULA = {"momentum": 0.96, "refresh_period": 1, "floor": 0.0, "bias_correction": True, "normalisation": "sum"}

# Losses of 2 to 8 exits, in float32 and well above epsilon.
several_losses = st.lists(st.floats(2**-6, 16, width=32), min_size=2, max_size=8)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def random_steps(count=1000, num_exits=5, seed=0):
    """Losses that fall at different rates, with noise: [count, num_exits]."""
    generator = np.random.default_rng(seed)
    trend = np.exp(-np.linspace(0, 1, count)[:, None] * np.linspace(0.5, 6, num_exits))
    return (2.3 * trend * np.exp(0.3 * generator.standard_normal((count, num_exits)))).astype(np.float32)


def weights_after(weigh, *steps):
    weigh.to(DEVICE)
    for losses in steps:
        weigh(torch.as_tensor(losses, dtype=weigh.weights.dtype).to(DEVICE))
    return weigh.weights.cpu()


# --- against the written algorithm ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.0, "refresh_period": 1},
        {"momentum": 0.5, "refresh_period": 7, "floor": 0.3},
        {"momentum": 0.9, "refresh_period": 10, "floor": 0.0, "final_extra": 1.0},
        {"momentum": 0.9, "refresh_period": 3, "final_extra": 2.0, "normalisation": "sum"},
        {"momentum": 0.8, "refresh_period": 2, "bias_correction": True, "floor": 0.05},
        {"momentum": 0.0, "refresh_period": 1, "bias_correction": True, "normalisation": "sum"},
        {"momentum": 0.9, "refresh_period": 5, "epsilon": 0.5},
        {"floor": 1.0, "refresh_period": 1},
        {"refresh_period": 1001},
        {"refresh_period": 4, "normalisation": "geometric", "final_extra": 1.0},
        {"refresh_period": 4, "normalisation": "none", "floor_kind": "start"},
        {"refresh_period": 50, "floor": 0.3, "floor_kind": "start", "final_extra": 0.5},
        {"refresh_period": 50, "bias_correction": True, "floor_kind": "start", "normalisation": "sum"},
        FORMULA,
    ],
    ids=str,
)
@pytest.mark.parametrize("num_exits", [1, 6])
def test_it_follows_the_reference_step_by_step(options, num_exits):
    steps = random_steps(count=250, num_exits=num_exits)
    weigh = AdaLoss(num_exits, **options)
    for losses, after in zip(steps, adaloss_weights(steps, **options), strict=True):
        np.testing.assert_allclose(weights_after(weigh, losses).numpy(), after, rtol=1e-4)


# --- when the weights move -----------------------------------------------------------------------------------------


def test_a_refresh_acts_from_the_next_call_on_and_every_call_counts():
    weigh = AdaLoss(2, momentum=0.0, refresh_period=2, floor=0.0).to(DEVICE)
    losses = on_device([4.0, 1.0])
    assert weigh(losses).item() == weigh(losses).item() == 4 + 1  # with the weights of the start
    assert weigh(2 * losses).item() == 0.25 * 8 + 1 * 2
    assert weigh.step.item() == 3


def test_a_graph_counts_the_steps_itself_and_so_does_the_host_after_it():
    steps = on_device(random_steps(count=12))
    plain, mixed = (AdaLoss(5, refresh_period=3).to(DEVICE) for _ in range(2))
    compiled = torch.compile(mixed, fullgraph=True, backend="eager")
    for step, losses in enumerate(steps):
        (compiled if 2 <= step < 7 else mixed)(losses)
        plain(losses)
        torch.testing.assert_close(mixed.weights, plain.weights)


def test_a_state_saved_before_the_first_refresh_warns_once():
    weigh = AdaLoss(2, refresh_period=3)
    model = torch.nn.ModuleList([weigh])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.state_dict()  # nothing has been trained
    weights_after(weigh, [1.0, 2.0])
    with pytest.warns(UserWarning, match="step 1.* step 3"):
        model.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.state_dict()
        refreshed = AdaLoss(2, refresh_period=3)
        weights_after(refreshed, *[[1.0, 2.0]] * 3)
        refreshed.state_dict()


# --- what the weights are ------------------------------------------------------------------------------------------


@given(several_losses, st.data(), st.floats(0, 1), st.floats(0, 0.99))
def test_a_floor_of_the_start_is_scale_invariant(values, data, floor, momentum):
    exponents = st.lists(st.integers(-6, 6), min_size=len(values), max_size=len(values))
    units = 2.0 ** torch.tensor(data.draw(exponents, label="exponents"))
    options = {"momentum": momentum, "refresh_period": 1, "floor": floor, "floor_kind": "start"}
    steps = torch.tensor([values, values[::-1], values])

    def pulls(normalisation, units):
        # what each exit contributes to the gradient, in its first unit
        return weights_after(AdaLoss(len(values), normalisation=normalisation, **options), *(steps * units)) * units

    one = torch.ones(())
    assert torch.equal(pulls("none", units), pulls("none", one))  # bit for bit
    for normalisation in ("max", "sum", "geometric"):  # but for one factor, and its rounding
        ratio = pulls(normalisation, units) / pulls(normalisation, one)
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-5, atol=0)


# --- losses of exactly zero, and other limits ----------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, FORMULA], ids=str)
def test_a_run_recovers_from_losses_of_zero(options):
    weigh = AdaLoss(3, **{**options, "refresh_period": 1})
    assert weights_after(weigh, *[[0.0, 0.0, 0.0]] * 3).tolist() == [1, 1, 1]
    assert weights_after(weigh, *[[1.0, 0.0, 0.0]] * 3).isfinite().all()
    assert weights_after(weigh, *[[1.0, 1.0, 1.0]] * 2000).tolist() == pytest.approx([1, 1, 1], rel=1e-3)


@pytest.mark.parametrize("normalisation", ["max", "sum", "geometric", "none"])
@pytest.mark.parametrize(
    "options",
    [{"momentum": 0.0}, {"floor_kind": "start"}, {"epsilon": 1e-40}, {"momentum": 1 - 1e-9, "bias_correction": True}],
    ids=str,
)
def test_no_option_that_is_accepted_gives_nan(normalisation, options):
    weigh = AdaLoss(3, refresh_period=1, normalisation=normalisation, **options)
    weights = weights_after(weigh, [1e30, 0.0, 1.0], [0.0, 0.0, 0.0], [1e30, 1e-30, 0.0])
    assert weights.isfinite().all()
    assert weights.min() >= 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_average_does_not_stand_still_in_half_precision(dtype):
    """In bfloat16 itself an average near 1 with β = 0.99 would not feel a loss of 0.85."""
    weigh = AdaLoss(2, refresh_period=1).to(DEVICE, dtype)
    steps = [(1.0, 1.0)] + 1000 * [(1.0, 0.85)]
    for losses in steps:
        weigh(on_device(losses).to(dtype))
    assert weigh.weights.tolist() == pytest.approx(adaloss_weights(steps, refresh_period=1)[-1], rel=0.01)


@pytest.mark.parametrize("options", [{}, {"floor_kind": "start"}, {"bias_correction": True}], ids=str)
def test_a_bad_loss_leaves_its_exits_average_as_it_is(options):
    weigh, exact = (AdaLoss(2, refresh_period=1, **options).to(DEVICE) for _ in range(2))
    call = torch.compile(weigh, fullgraph=True, backend="eager")  # which raises on no device
    for early in (float("nan"), 4.0, float("inf"), -1.0, 4.0):  # also at the very start
        call(on_device([early, 2.0]))
        assert weigh.weights.isfinite().all()
        if weigh.step == 1 and weigh.start is None:  # an exit without a good loss counts as one with a loss of 1
            torch.testing.assert_close(weigh.weights.cpu(), weights_after(AdaLoss(2, refresh_period=1), [1.0, 2.0]))
    weights_after(exact, [4.0, 2.0], [4.0, 2.0])
    torch.testing.assert_close(weigh.average[0], exact.average[0])
    torch.testing.assert_close(weigh.weights, exact.weights)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("momentum", value) for value in (1.0, -0.1, float("nan"))),
        *(("floor", value) for value in (-0.01, 1.01, float("nan"))),
        *(("final_extra", value) for value in (-1.0, float("inf"), float("nan"))),
        *(("epsilon", value) for value in (0.0, 1.0)),
        ("num_exits", 0),
        *(("refresh_period", value) for value in (0, 2.5, float("inf"), float("nan"))),
        ("normalisation", "mean"),
        ("floor_kind", "max"),
    ],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ValueError, match=f"^AdaLoss {option}: "):
        AdaLoss(**{"num_exits": 3, option: value})


@pytest.mark.parametrize("measure", [torch.mean, lambda losses: losses[:1], lambda losses: losses.tolist()])
def test_a_measure_gives_one_number_per_exit(measure):
    with pytest.raises((ValueError, TypeError), match=r"^what AdaLoss measures: expected .*3, .*found "):
        AdaLoss(3, measure=measure)(torch.ones(3))


# --- among others --------------------------------------------------------------------------------------------------


class Both(AdaLoss, Scalarizer, Stateful):
    """AdaLoss as one of TorchJD's."""


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4)])
def test_it_keeps_torchjds_contract_of_a_scalarizer(shape):
    """What TorchJD's tests ask of each of theirs, on shapes like theirs: a finite scalar, and gradients that flow."""
    values = on_device(torch.randn(shape, generator=torch.Generator().manual_seed(0)).abs())
    weigh = Both(values.numel(), refresh_period=1).to(DEVICE)
    start = weigh(values)
    assert start.dim() == 0
    torch.testing.assert_close(start, values.sum())
    leaf = values.detach().requires_grad_()
    objective = weigh(leaf)
    objective.backward()
    assert objective.isfinite()
    assert leaf.grad.shape == shape
    assert leaf.grad.isfinite().all()
    with pytest.raises(TypeError):
        weigh(values=values)  # by position only, as theirs
    weigh.reset()
    assert torch.equal(weigh(values), start)


# --- on a GPU; where there is none, with tensors that only claim to be there and have no values to wait for -----------


@needs_cuda
@pytest.mark.parametrize("options", [{}, FORMULA], ids=str)
def test_replays_of_a_cuda_graph_equal_steps_on_a_cpu(options):
    options = {**options, "refresh_period": 4}
    eager, weigh = AdaLoss(3, **options), AdaLoss(3, **options).cuda()

    def backward(weigh, losses):
        losses.grad = None
        objective = weigh(losses)
        objective.backward()
        return objective

    draw = torch.Generator().manual_seed(0)
    static = torch.ones(3, device="cuda", requires_grad=True)  # the graph reads its losses here
    warm_up = torch.cuda.Stream()
    warm_up.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warm_up):  # PyTorch asks for a few steps beside the default stream
        for _ in range(3):
            backward(weigh, static)
            backward(eager, torch.ones(3, requires_grad=True))
    torch.cuda.current_stream().wait_stream(warm_up)
    static.grad = None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):  # captures, and computes nothing
        objective = weigh(static)
        objective.backward()
    for _ in range(9):  # two refreshes and more
        losses = torch.rand(3, generator=draw).requires_grad_()
        with torch.no_grad():
            static.copy_(losses)
        graph.replay()
        torch.testing.assert_close(objective.cpu(), backward(eager, losses))
        torch.testing.assert_close(static.grad.cpu(), losses.grad)
        torch.testing.assert_close(weigh.weights.cpu(), eager.weights)
    assert not torch.equal(eager.weights, torch.ones(3))
    before = weigh.average[1].clone()
    with torch.no_grad():
        static[1] = float("nan")
    graph.replay()
    assert not static.grad.isfinite().all()
    with pytest.raises(BadLoss) as caught:
        weigh.check()
    assert caught.value.exit == 2
    assert torch.equal(weigh.average[1], before)


@pytest.mark.parametrize("capturing", [False, True])
def test_a_step_waits_for_no_value_on_the_device(monkeypatch, capturing):
    """A capture fails at any value that is read. So does a tensor that has none."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: capturing)
    with FakeTensorMode():
        weigh = AdaLoss(num_exits=3, refresh_period=2).to("cuda")
        for _ in range(4):  # without backward, which needs a real device: the weighting has no code there
            assert weigh(torch.rand(3, device="cuda", requires_grad=True)).device.type == "cuda"
        with pytest.raises(Exception, match=r"_local_scalar_dense|tolist|item"):  # negative control: this one waits
            weigh.check()
