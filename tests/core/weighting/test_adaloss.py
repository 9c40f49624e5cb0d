import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchjd.scalarization import GeometricMean

from anytime_core import AdaLoss

PRESETS = {
    "paper_runs": {
        "momentum": 0.99,
        "refresh_period": 100,
        "floor": 0.07,
        "final_extra": 0.0,
        "bias_correction": False,
        "normalisation": "max",
    },
    "released": {
        "momentum": 0.9,
        "refresh_period": 100,
        "floor": 0.07,
        "final_extra": 0.0,
        "bias_correction": False,
        "normalisation": "max",
    },
    "formula": {
        "momentum": 0.96,
        "refresh_period": 1,
        "floor": 0.0,
        "final_extra": 0.0,
        "bias_correction": True,
        "normalisation": "sum",
    },
}

# Losses of 1 to 8 exits, in float32 and well above epsilon.
loss_lists = st.lists(st.floats(2**-6, 16, width=32), min_size=1, max_size=8)
several_losses = st.lists(st.floats(2**-6, 16, width=32), min_size=2, max_size=8)


def oracle(
    steps,
    *,
    momentum,
    refresh_period,
    floor,
    final_extra,
    bias_correction,
    normalisation,
    epsilon=1e-8,
    floor_kind="const",
):
    """Weights after each step, in plain NumPy and float64, from the written algorithm alone.

    Average: the first batch, then β a + (1 - β) l; with bias correction started at 0 and divided by 1 - β^t.
    Every P-th step: reciprocal of max(a, ε); normalise; e more for the last; normalise; (1 - γ) u + γ. With the floor
    of the start, the reciprocal is mixed with that of the first losses instead.
    """

    def normalised(u):
        factors = {"max": u.max(), "sum": u.mean(), "geometric": np.exp(np.log(u).mean()), "none": 1}
        return u / factors[normalisation]

    weights = np.ones(len(steps[0]))
    average = None
    history = []
    for t, losses in enumerate(np.asarray(steps, dtype=np.float64), start=1):
        if average is None:
            average = (1 - momentum) * losses if bias_correction else losses
        else:
            average = momentum * average + (1 - momentum) * losses
        if t % refresh_period == 0:
            corrected = average / (1 - momentum**t) if bias_correction else average
            u = 1 / np.maximum(corrected, epsilon)
            if floor_kind == "start":
                u = (1 - floor) * u + floor / np.maximum(steps[0], epsilon)
            u = normalised(u)
            if final_extra:
                u[-1] += final_extra
                u = normalised(u)
            weights = u if floor_kind == "start" else (1 - floor) * u + floor
        history.append(weights)
    return np.array(history)


def random_steps(count=1000, num_exits=5, seed=0):
    """Losses that fall at different rates, with noise: [count, num_exits]."""
    generator = np.random.default_rng(seed)
    trend = np.exp(-np.linspace(0, 1, count)[:, None] * np.linspace(0.5, 6, num_exits))
    return (2.3 * trend * np.exp(0.3 * generator.standard_normal((count, num_exits)))).astype(np.float32)


def weights_after(weigh, *steps):
    for losses in steps:
        weigh(torch.as_tensor(losses, dtype=weigh.weights.dtype))
    return weigh.weights


# --- against the written algorithm ---------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_follow_the_algorithm_step_by_step(preset):
    steps = random_steps()
    weigh = getattr(AdaLoss, preset)(num_exits=5)
    expected = oracle(steps, **PRESETS[preset])
    assert len(np.unique(expected, axis=0)) > 3  # the weights do move
    for losses, after in zip(steps, expected, strict=True):
        weights_after(weigh, losses)
        np.testing.assert_allclose(weigh.weights.numpy(), after, rtol=1e-4)


@pytest.mark.parametrize(
    "knobs",
    [
        {"momentum": 0.0, "refresh_period": 1},
        {"momentum": 0.5, "refresh_period": 7, "floor": 0.3},
        {"momentum": 0.9, "refresh_period": 10, "floor": 0.0, "final_extra": 1.0},
        {"momentum": 0.99, "refresh_period": 1, "floor": 0.14, "final_extra": 0.5},
        {"momentum": 0.9, "refresh_period": 3, "final_extra": 2.0, "normalisation": "sum"},
        {"momentum": 0.8, "refresh_period": 2, "bias_correction": True, "floor": 0.05},
        {"momentum": 0.0, "refresh_period": 1, "bias_correction": True, "normalisation": "sum"},
        {"momentum": 0.9, "refresh_period": 5, "epsilon": 0.5},
        {"floor": 1.0, "refresh_period": 1},
        {"refresh_period": 1001},
        {"refresh_period": 4, "normalisation": "geometric"},
        {"refresh_period": 4, "normalisation": "geometric", "final_extra": 1.0},
        {"refresh_period": 4, "normalisation": "none"},
        {"refresh_period": 4, "normalisation": "none", "floor_kind": "start"},
        {"refresh_period": 50, "floor": 0.3, "floor_kind": "start", "final_extra": 0.5},
        {"refresh_period": 50, "bias_correction": True, "floor_kind": "start", "normalisation": "sum"},
    ],
    ids=str,
)
@pytest.mark.parametrize("num_exits", [1, 2, 6])
def test_knobs_follow_the_algorithm_step_by_step(knobs, num_exits):
    steps = random_steps(count=200, num_exits=num_exits, seed=1)
    weigh = AdaLoss(num_exits, **knobs)
    expected = oracle(steps, **{**PRESETS["paper_runs"], **knobs})
    for losses, after in zip(steps, expected, strict=True):
        weights_after(weigh, losses)
        np.testing.assert_allclose(weigh.weights.numpy(), after, rtol=1e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_those_of_the_documentation(preset):
    weigh = getattr(AdaLoss, preset)(4)
    assert {knob: getattr(weigh, knob) for knob in PRESETS[preset]} == PRESETS[preset]


def test_the_constructor_defaults_to_the_papers_runs():
    assert repr(AdaLoss(4)) == repr(AdaLoss.paper_runs(4))
    assert repr(AdaLoss(4)) != repr(AdaLoss.released(4))


@pytest.mark.parametrize(
    ("preset", "knobs"),
    [
        ("released", {"momentum": 0.5, "refresh_period": 3, "floor": 0.2, "final_extra": 1.5}),
        ("formula", {"momentum": 0.5, "refresh_period": 3, "normalisation": "max"}),
    ],
)
def test_each_knob_of_a_preset_can_be_set(preset, knobs):
    weigh = getattr(AdaLoss, preset)(4, **knobs)
    assert {knob: getattr(weigh, knob) for knob in PRESETS[preset]} == {**PRESETS[preset], **knobs}


# --- when the weights move -----------------------------------------------------------------------------------------


def test_weights_are_one_until_the_first_refresh_and_then_stand_for_a_period():
    weigh = AdaLoss(2, momentum=0.0, refresh_period=3, floor=0.0)
    late_losses = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 1.0)
    history = [weights_after(weigh, [1.0, late])[0].item() for late in late_losses]
    assert history == [1, 1, 0.25, 0.25, 0.25, 0.03125, 0.03125]


def test_a_refresh_acts_from_the_next_step_on():
    weigh = AdaLoss(2, momentum=0.0, refresh_period=1, floor=0.0)
    losses = torch.tensor([4.0, 1.0])
    assert weigh(losses).item() == 4 + 1  # with the weights of the start
    assert weigh.weights.tolist() == [0.25, 1]
    assert weigh(2 * losses).item() == 0.25 * 8 + 1 * 2


def test_nothing_moves_in_evaluation_mode():
    weigh = AdaLoss(2, refresh_period=1).eval()
    before = copy.deepcopy(weigh.state_dict())
    assert weigh(torch.tensor([4.0, 1.0])).item() == 5
    assert all(torch.equal(value, before[key]) for key, value in weigh.state_dict().items())


@pytest.mark.parametrize("shape", [(), (2,), (4,), (3, 1)])
def test_losses_of_another_shape_are_refused_before_anything_moves(shape):
    weigh = AdaLoss(3, refresh_period=1)
    with pytest.raises(ValueError, match=r"losses: expected shape \[3\]"):
        weigh(torch.ones(shape))
    assert weigh.step.item() == 0


# --- what the weights are ------------------------------------------------------------------------------------------


@given(loss_lists, st.floats(0, 1))
def test_closed_form(values, floor):
    weigh = AdaLoss(len(values), momentum=0.0, refresh_period=1, floor=floor)
    expected = [(1 - floor) * min(values) / value + floor for value in values]
    assert weights_after(weigh, values).tolist() == pytest.approx(expected, rel=1e-5)


def test_closed_form_with_extra_weight_for_the_last_exit():
    weigh = AdaLoss(3, momentum=0.0, refresh_period=1, floor=0.1, final_extra=1.0)
    # u = [1/4, 1/2, 1] + [0, 0, 1], over 2; then 0.9 u + 0.1
    assert weights_after(weigh, [4.0, 2.0, 1.0]).tolist() == pytest.approx([0.2125, 0.325, 1.0])
    # an early exit is the best: u = [1, 1/4] + [0, 1], over 1.25
    weigh = AdaLoss(2, momentum=0.0, refresh_period=1, floor=0.0, final_extra=1.0)
    assert weights_after(weigh, [1.0, 4.0]).tolist() == pytest.approx([0.8, 1.0])


@given(loss_lists, st.integers(1, 30), st.sampled_from([0.0, 0.9, 0.99]), st.booleans())
def test_constant_losses_give_the_inverse_losses_from_the_first_step_on(values, count, momentum, bias_correction):
    weigh = AdaLoss(
        len(values),
        momentum=momentum,
        refresh_period=1,
        floor=0.0,
        bias_correction=bias_correction,
        normalisation="sum",
    )
    inverse = [1 / value for value in values]
    expected = [len(values) * u / sum(inverse) for u in inverse]
    assert weights_after(weigh, *[values] * count).tolist() == pytest.approx(expected, rel=1e-4)


@given(several_losses, st.floats(0, 1), st.floats(0, 4), st.sampled_from(["max", "sum", "geometric", "none"]))
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


@given(several_losses, st.randoms(use_true_random=False), st.sampled_from(["max", "sum", "geometric", "none"]))
def test_exits_are_treated_alike(values, random, normalisation):
    order = list(range(len(values)))
    random.shuffle(order)
    make = {"momentum": 0.9, "refresh_period": 1, "normalisation": normalisation}
    weights = weights_after(AdaLoss(len(values), **make), values, values[::-1])
    shuffled = [[step[place] for place in order] for step in (values, values[::-1])]
    torch.testing.assert_close(weights_after(AdaLoss(len(values), **make), *shuffled), weights[order])


def test_extra_weight_for_the_last_exit_does_not_treat_exits_alike():
    weigh = AdaLoss(2, refresh_period=1, final_extra=1.0)
    assert weights_after(weigh, [1.0, 1.0]).tolist() == pytest.approx([0.535, 1])


@given(st.lists(loss_lists, min_size=1, max_size=4), st.integers(-8, 8), st.sampled_from(["paper_runs", "formula"]))
def test_the_unit_of_the_losses_does_not_matter(sequences, exponent, preset):
    num_exits = min(len(values) for values in sequences)
    steps = [torch.tensor(values[:num_exits]) for values in sequences]
    knobs = {**PRESETS[preset], "refresh_period": 1, "floor": 0.0}
    plain = weights_after(AdaLoss(num_exits, **knobs), *steps)
    scaled = weights_after(AdaLoss(num_exits, **knobs), *(losses * 2.0**exponent for losses in steps))
    assert torch.equal(plain, scaled)  # bit for bit: powers of two round nothing


@given(several_losses, st.data(), st.floats(0, 1), st.floats(0, 0.99))
def test_a_floor_of_the_start_is_safe_of_scales(values, data, floor, momentum):
    exponents = st.lists(st.integers(-6, 6), min_size=len(values), max_size=len(values))
    units = 2.0 ** torch.tensor(data.draw(exponents, label="exponents"))
    knobs = {"momentum": momentum, "refresh_period": 1, "floor": floor, "floor_kind": "start"}
    steps = torch.tensor([values, values[::-1], values])

    def pulls(normalisation, units):
        # what each exit contributes to the gradient, in its first unit
        return weights_after(AdaLoss(len(values), normalisation=normalisation, **knobs), *(steps * units)) * units

    one = torch.ones(())
    assert torch.equal(pulls("none", units), pulls("none", one))  # bit for bit
    for normalisation in ("max", "sum", "geometric"):  # but for one factor, and its rounding
        ratio = pulls(normalisation, units) / pulls(normalisation, one)
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-5, atol=0)


def test_a_floor_of_const_is_not_safe_of_scales():
    knobs = {"momentum": 0.0, "refresh_period": 1, "floor": 0.5, "normalisation": "none"}
    first = weights_after(AdaLoss(2, **knobs), [1.0, 1.0])
    second = weights_after(AdaLoss(2, **knobs), [4.0, 1.0]) * torch.tensor([4.0, 1.0])
    assert first.tolist() == [1, 1]
    assert second.tolist() == [0.625 * 4, 1]


def test_a_floor_of_the_start_by_hand():
    weigh = AdaLoss(2, momentum=0.0, refresh_period=1, floor=0.5, floor_kind="start", normalisation="none")
    assert weights_after(weigh, [2.0, 4.0]).tolist() == [0.5, 0.25]
    assert weights_after(weigh, [1.0, 1.0]).tolist() == [0.5 / 1 + 0.5 / 2, 0.5 / 1 + 0.5 / 4]
    assert weigh.start.tolist() == [2, 4]
    assert "start" in weigh.state_dict()
    assert "start" not in AdaLoss(2).state_dict()


@given(several_losses, st.floats(2**-4, 2**4))
def test_geometric_weights_are_inverse_losses_over_their_geometric_mean(values, unit):
    weigh = AdaLoss(len(values), momentum=0.0, refresh_period=1, floor=0.0, normalisation="geometric")
    mean = float(np.exp(np.mean(np.log(values))))
    expected = [mean / value for value in values]
    assert weights_after(weigh, [value * unit for value in values]).tolist() == pytest.approx(expected, rel=1e-4)


def test_one_exit_always_weighs_one():
    for preset in PRESETS:
        assert weights_after(getattr(AdaLoss, preset)(1), *[[loss] for loss in (3.0, 1.0, 0.0) * 40]).tolist() == [1]


# --- losses of exactly zero ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", [0.0, 0.07])
def test_an_exit_of_loss_zero_weighs_one_and_the_others_the_floor(floor):
    weigh = AdaLoss(3, momentum=0.0, refresh_period=1, floor=floor)
    expected = [floor + (1 - floor) * 1e-8 / 2, 1.0, floor + (1 - floor) * 1e-8 / 0.5]
    assert weights_after(weigh, [2.0, 0.0, 0.5]).tolist() == pytest.approx(expected, rel=1e-5)
    assert weigh(torch.tensor([2.0, 0.0, 0.5])).isfinite()


@pytest.mark.parametrize("preset", PRESETS)
def test_losses_of_zero_give_no_nan_and_the_run_recovers(preset):
    weigh = AdaLoss(3, **{**PRESETS[preset], "refresh_period": 1})
    assert weights_after(weigh, *[[0.0, 0.0, 0.0]] * 3).tolist() == [1, 1, 1]
    assert weights_after(weigh, *[[1.0, 0.0, 0.0]] * 3).isfinite().all()
    assert weights_after(weigh, *[[1.0, 1.0, 1.0]] * 2000).tolist() == pytest.approx([1, 1, 1], rel=1e-3)


def test_a_tiny_loss_is_not_divided_by():
    weigh = AdaLoss(2, momentum=0.0, refresh_period=1, floor=0.0, epsilon=0.1)
    assert weights_after(weigh, [0.2, 1e-30]).tolist() == pytest.approx([0.5, 1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions_have_no_nan_at_zero(dtype):
    weigh = AdaLoss(2, momentum=0.0, refresh_period=1).to(dtype)
    assert weights_after(weigh, [1.0, 0.0]).tolist() == pytest.approx([0.07, 1], rel=1e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_memory_does_not_stand_still_in_half_precision(dtype):
    """In bfloat16 itself a mean near 1 with β = 0.99 would not feel a loss of 0.85."""
    model = torch.nn.ModuleDict({"weigh": AdaLoss(2, refresh_period=1)}).to(dtype)
    weigh = model["weigh"]
    for losses in [(1.0, 1.0)] + 1000 * [(1.0, 0.85)]:
        objective = weigh(torch.tensor(losses, dtype=dtype, requires_grad=True))
    objective.backward()
    assert weigh.average.dtype == weigh.weights.dtype == torch.float32
    assert weigh.weights.tolist() == pytest.approx([0.07 + 0.93 * 0.85, 1], rel=0.01)
    assert weigh.double().weights.dtype == torch.float64


@pytest.mark.parametrize("knobs", [{"epsilon": 1e-40}, {"momentum": 1 - 1e-9, "bias_correction": True}], ids=str)
def test_no_knob_that_is_accepted_gives_nan(knobs):
    weigh = AdaLoss(2, refresh_period=1, **knobs)
    assert weights_after(weigh, [1.0, 0.0], [1.0, 0.0]).isfinite().all()


@pytest.mark.parametrize("normalisation", ["max", "sum", "geometric", "none"])
@pytest.mark.parametrize("floor_kind", ["const", "start"])
def test_losses_of_zero_are_finite_under_every_normalisation(normalisation, floor_kind):
    weigh = AdaLoss(3, momentum=0.0, refresh_period=1, normalisation=normalisation, floor_kind=floor_kind)
    weights = weights_after(weigh, [1e30, 0.0, 1.0], [0.0, 0.0, 0.0], [1e30, 1e-30, 0.0])
    assert weights.isfinite().all()
    assert weights.min() >= 0


# --- what is minimised ---------------------------------------------------------------------------------------------


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
    # and the lengths are related by what each multiplies Σ ∇ ln ℓ with: the least loss, and GM / K
    values = losses().detach()
    ratio = values.min() * 4 / values.log().mean().exp()
    torch.testing.assert_close(ours.norm() / theirs.norm(), ratio, rtol=1e-6, atol=0)


# --- as a module ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("stop", [1, 99, 100, 150])
def test_a_state_dict_goes_on_bit_for_bit(preset, stop, tmp_path):
    steps = random_steps(count=300)
    weigh = getattr(AdaLoss, preset)(5)
    weights_after(weigh, *steps[:stop])
    torch.save(weigh.state_dict(), tmp_path / "state.pt")
    resumed = getattr(AdaLoss, preset)(5)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt"))
    for losses in torch.from_numpy(steps[stop:]):
        assert torch.equal(resumed(losses), weigh(losses))
        assert torch.equal(resumed.weights, weigh.weights)


def test_a_copy_goes_its_own_way():
    weigh = AdaLoss(2, refresh_period=1)
    weights_after(weigh, [2.0, 1.0])
    before = copy.deepcopy(weigh.state_dict())
    weights_after(copy.deepcopy(weigh), [1.0, 5.0])
    assert all(torch.equal(value, before[key]) for key, value in weigh.state_dict().items())


def test_buffers_move_together_and_the_step_stays_an_integer():
    weigh = AdaLoss(3).to(torch.float64)
    assert {name: value.dtype for name, value in weigh.named_buffers()} == {
        "weights": torch.float64,
        "bad_exit": torch.int64,
        "average": torch.float64,
        "step": torch.int64,
    }
    assert all(value.device.type == "meta" for value in weigh.to("meta").buffers())
    assert list(weigh.parameters()) == []


def test_losses_of_lower_precision_are_averaged_in_the_precision_of_the_state():
    weigh = AdaLoss(2, refresh_period=1, floor=0.0)
    assert weigh(torch.tensor([2.0, 1.0], dtype=torch.bfloat16)).isfinite()
    assert weigh.average.dtype == torch.float32
    assert weigh.weights.tolist() == [0.5, 1]


def test_no_gradient_is_kept_from_step_to_step():
    weigh = AdaLoss(2, refresh_period=1)
    weigh(torch.tensor([2.0, 1.0], requires_grad=True) * 1)
    assert not any(value.requires_grad for value in weigh.buffers())


@pytest.mark.parametrize("preset", PRESETS)
def test_compiles_without_a_graph_break(preset):
    plain, compiled = (getattr(AdaLoss, preset)(3) for _ in range(2))
    call = torch.compile(compiled, fullgraph=True, backend="eager")
    for losses in torch.from_numpy(random_steps(count=6, num_exits=3)):
        torch.testing.assert_close(call(losses), plain(losses))
    torch.testing.assert_close(compiled.weights, plain.weights)
    assert compiled.step.item() == 6


@pytest.mark.parametrize(
    ("knob", "value", "expected"),
    [
        ("num_exits", 0, "at least 1"),
        ("momentum", 1.0, "0 or more and below 1"),
        ("momentum", -0.1, "0 or more and below 1"),
        ("momentum", float("nan"), "0 or more and below 1"),
        ("refresh_period", 0, "at least 1 step"),
        ("floor", -0.01, "0 to 1"),
        ("floor", 1.01, "0 to 1"),
        ("floor", float("nan"), "0 to 1"),
        ("final_extra", -1.0, "0 or more"),
        ("final_extra", float("inf"), "0 or more"),
        ("final_extra", float("nan"), "0 or more"),
        ("normalisation", "mean", "max, sum, geometric or none"),
        ("epsilon", 0.0, "above 0 and below 1"),
        ("epsilon", 1.0, "above 0 and below 1"),
        ("floor_kind", "max", "const or start"),
        ("order", 2, "0 or 1"),
        ("squared", True, "False with order=0, which tracks no gradient"),
    ],
)
def test_knobs_out_of_range_are_refused(knob, value, expected):
    with pytest.raises(ValueError, match=rf"AdaLoss {knob}: expected {expected}, found {value}"):
        AdaLoss(**{"num_exits": 3, knob: value})


def test_repr_shows_the_knobs():
    assert repr(AdaLoss.formula(3)) == (
        "AdaLoss(num_exits=3, momentum=0.96, refresh_period=1, floor=0.0, final_extra=0.0, bias_correction=True, "
        "normalisation='sum', epsilon=1e-08, floor_kind='const', order=0, squared=False)"
    )
