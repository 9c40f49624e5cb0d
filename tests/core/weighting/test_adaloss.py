import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchjd import Stateful
from torchjd.scalarization import GeometricMean, Scalarizer

from anytime_core import AdaLoss
from tests.core.on_device import DEVICE, on_device
from tests.core.weighting.reference import adaloss_weights

FORMULA = {"momentum": 0.96, "refresh_period": 1, "floor": 0.0, "bias_correction": True, "normalisation": "sum"}

# Losses of 1 to 8 exits, in float32 and well above epsilon.
loss_lists = st.lists(st.floats(2**-6, 16, width=32), min_size=1, max_size=8)
several_losses = st.lists(st.floats(2**-6, 16, width=32), min_size=2, max_size=8)
normalisations = st.sampled_from(["max", "sum", "geometric", "none"])


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


@pytest.mark.skipif(DEVICE.type != "cuda", reason="CUDA graphs need a GPU: ANYTIME_TEST_DEVICE=cuda")
def test_replays_of_a_cuda_graph_refresh_in_time():
    steps = on_device(random_steps(count=12))
    plain, weigh = (AdaLoss(5, refresh_period=3).to(DEVICE) for _ in range(2))
    losses = steps[0].clone()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        weigh(losses)  # warm-up
    torch.cuda.current_stream().wait_stream(stream)
    weigh.reset()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        objective = weigh(losses)
    for values in steps:
        losses.copy_(values)
        graph.replay()
        torch.testing.assert_close(objective, plain(values))
    torch.testing.assert_close(weigh.weights, plain.weights)
    torch.testing.assert_close(weigh(steps[0]), plain(steps[0]))


def test_a_state_saved_before_the_first_refresh_warns_once():
    weigh = AdaLoss(2, refresh_period=3)
    model = torch.nn.ModuleList([weigh])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.state_dict()  # nothing has been trained
    weights_after(weigh, [1.0, 2.0])
    with pytest.warns(UserWarning, match="after step 1, before the first refresh at step 3"):
        model.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.state_dict()
        refreshed = AdaLoss(2, refresh_period=3)
        weights_after(refreshed, *[[1.0, 2.0]] * 3)
        refreshed.state_dict()


# --- what the weights are ------------------------------------------------------------------------------------------


@given(several_losses, st.floats(0, 1), st.floats(0, 4), normalisations)
def test_weights_are_positive_and_normalised(values, floor, final_extra, normalisation):
    weigh = AdaLoss(len(values), refresh_period=1, floor=floor, final_extra=final_extra, normalisation=normalisation)
    weights = weights_after(weigh, values)
    assert weights.min() > 0
    assert weights.min() >= floor * (1 - 1e-6)
    if normalisation == "max":
        assert weights.max().item() == pytest.approx(1, rel=1e-6)
    elif normalisation == "sum":
        assert weights.sum().item() == pytest.approx(len(values), rel=1e-5)
    elif normalisation == "geometric" and floor == 0:
        assert weights.double().log().mean().exp().item() == pytest.approx(1, rel=1e-5)


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


def test_the_gradient_has_the_direction_of_the_geometric_mean():
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(7, generator=generator, dtype=torch.float64, requires_grad=True)
    mixing = torch.randn(4, 7, generator=generator, dtype=torch.float64)

    def losses():
        return (mixing @ parameters).square() + 0.1

    weigh = AdaLoss(4, momentum=0.0, refresh_period=1, floor=0.0).double()
    (plain,) = torch.autograd.grad(weigh(losses()), parameters)  # first step: the plain sum
    (ours,) = torch.autograd.grad(weigh(losses()), parameters)
    (theirs,) = torch.autograd.grad(GeometricMean()(losses()), parameters)
    torch.testing.assert_close(ours / ours.norm(), theirs / theirs.norm(), rtol=1e-6, atol=1e-9)
    assert torch.cosine_similarity(plain, theirs, dim=0) < 0.99  # the plain sum points elsewhere


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
    for losses in [(1.0, 1.0)] + 1000 * [(1.0, 0.85)]:
        weigh(on_device(losses).to(dtype))
    assert weigh.weights.tolist() == pytest.approx([0.07 + 0.93 * 0.85, 1], rel=0.01)


@pytest.mark.parametrize("options", [{}, {"floor_kind": "start"}], ids=str)
def test_a_bad_loss_leaves_its_exits_average_as_it_is(options):
    weigh, exact = (AdaLoss(2, refresh_period=1, **options).to(DEVICE) for _ in range(2))
    call = torch.compile(weigh, fullgraph=True, backend="eager")  # which raises on no device
    for early in (float("nan"), 4.0, float("inf"), -1.0, 4.0):  # also at the very start
        call(on_device([early, 2.0]))
        assert weigh.weights.isfinite().all()
    weights_after(exact, [4.0, 2.0], [4.0, 2.0])
    torch.testing.assert_close(weigh.average, exact.average)
    torch.testing.assert_close(weigh.weights, exact.weights)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("momentum", value) for value in (1.0, -0.1, float("nan"))),
        *(("floor", value) for value in (-0.01, 1.01, float("nan"))),
        *(("final_extra", value) for value in (-1.0, float("inf"), float("nan"))),
        *(("epsilon", value) for value in (0.0, 1.0)),
        ("num_exits", 0),
        ("refresh_period", 0),
        ("normalisation", "mean"),
        ("floor_kind", "max"),
    ],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ValueError, match=rf"AdaLoss {option}: expected .*, found {value}"):
        AdaLoss(**{"num_exits": 3, option: value})


# --- among others --------------------------------------------------------------------------------------------------


class Both(AdaLoss, Scalarizer, Stateful):
    """AdaLoss as one of TorchJD's."""


@pytest.mark.parametrize("kind", [AdaLoss, Both])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4)])
def test_it_keeps_torchjds_contract_of_a_scalarizer(kind, shape):
    """What TorchJD's tests ask of each of theirs, on shapes like theirs: a finite scalar, and gradients that flow."""
    values = on_device(torch.randn(shape, generator=torch.Generator().manual_seed(0)).abs())
    weigh = kind(values.numel(), refresh_period=1).to(DEVICE)
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


def test_it_loads_torch_and_nothing_else():
    code = (
        "import sys; import torch; before = set(sys.modules); from anytime_core import AdaLoss; AdaLoss(3)\n"
        "print({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert eval(done.stdout) <= {"anytime_core", "torch"}
