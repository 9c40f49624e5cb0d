"""What every weighting of the registry keeps to; a new entry joins by itself."""

import copy
import math
import pickle

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from anytime_core.weighting import adaloss, base
from anytime_core.weighting.base import BadLoss, LossWeighting
from anytime_study.runs.registries import WEIGHTINGS
from tests.core.on_device import DEVICE, on_device

LIBRARY = ["const", "linear", "half_end", "sieve", "opt", "adaloss", "adaloss_formula"]
VARIANTS = ["adaloss(refresh_period=1)", "adaloss(floor_kind='start', refresh_period=2)", "sampled(rho=0.0)"]
pytestmark = pytest.mark.filterwarnings("ignore:AdaLoss. state saved after step")
BAD = [-1.0, -1e-30, math.nan, math.inf, -math.inf]
GOOD = [[3.0, 2.0, 1.0], [2.0, 1.5, 0.5], [0.0, 1.0, 0.25], [2.0, 2.0, 4.0]]


def build(text, num_exits=3):
    return WEIGHTINGS.build(text, num_exits=num_exits, seed=0).to(DEVICE)


def every(function):
    return pytest.mark.parametrize("text", [*WEIGHTINGS.entries, *VARIANTS])(function)


def state(weigh):
    return {name: value.clone() for name, value in weigh.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def run(weigh, steps=GOOD, call=None):
    """Train on losses of one parameter, an epoch every two steps: objectives, and gradients of the losses."""
    theta = torch.nn.Parameter(torch.ones((), device=DEVICE))
    optimiser = torch.optim.SGD([theta, *weigh.parameters()], lr=0.05)
    found = []
    for step, values in enumerate(steps, start=1):
        losses = theta.square() * on_device(values)
        losses.retain_grad()
        objective = (weigh if call is None else call)(losses)
        optimiser.zero_grad()
        objective.backward()
        optimiser.step()
        found.append(torch.cat([objective.detach().view(1), losses.grad]))
        if step % 2 == 0:
            weigh.end_epoch()
    return torch.stack(found)


@pytest.fixture
def deferred(monkeypatch):
    """The way of a GPU, where no value is looked at, also on a CPU."""
    for module in (base, adaloss):
        monkeypatch.setattr(module, "may_raise", lambda _: False)


class Operations(TorchDispatchMode):
    """Counts what is dispatched to ATen, forward only: views and in-place operations count, Python does not."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(str(operation))
        return operation(*args, **(kwargs or {}))


# --- the call ------------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("shape", [(6,), (1, 6), (3, 2), (2, 1, 3), ()])
def test_values_of_any_shape_are_counted_in_order(text, shape):
    count = math.prod(shape)
    values = on_device([3.0, 2.0, 1.0, 0.5, 4.0, 2.5][:count])
    weigh, flat = build(text, count), build(text, count)
    shaped = values.view(shape).clone().requires_grad_()
    objective = weigh(shaped)
    assert objective.shape == ()
    assert torch.equal(objective, flat(values))
    objective.backward()
    assert shaped.grad.shape == shape
    assert torch.equal(weigh.weights, flat.weights)


@every
@pytest.mark.parametrize("shape", [(), (2,), (4,), (2, 2), (0,)])
def test_another_number_of_losses_is_refused_and_changes_nothing(text, shape):
    weigh = build(text)
    before = state(weigh)
    with pytest.raises(ValueError, match=r"^losses: "):
        weigh(on_device(torch.ones(shape)))
    with pytest.raises(TypeError, match=r"^losses: "):
        weigh([torch.ones(())] * 3)
    assert same(state(weigh), before)


@pytest.mark.parametrize("text", WEIGHTINGS.entries)
def test_at_least_one_exit(text):
    with pytest.raises(ValueError, match="num_exits: "):
        build(text, 0)


@every
def test_the_gradient_is_the_weights_and_none_passes_through_them(text):
    weigh = build(text)
    for values in GOOD:
        theta = on_device(values).sqrt().requires_grad_()
        before = weigh.weights.clone()
        losses = theta.square()
        objective = weigh(losses)
        weighted_sum = not hasattr(weigh, "scalarizer")  # one of those shows the weights of the last call
        used = before if weighted_sum else weigh.weights
        if weighted_sum:
            torch.testing.assert_close(objective, used @ losses)
        (gradient,) = torch.autograd.grad(objective, losses, retain_graph=True)
        assert torch.equal(gradient, used)
        (chained,) = torch.autograd.grad(objective, theta)
        torch.testing.assert_close(chained, used * 2 * theta.detach())
        assert not any(value.requires_grad for value in weigh.buffers())


# --- state ---------------------------------------------------------------------------------------------------------


@every
def test_nothing_moves_in_evaluation_mode(text):
    weigh = build(text)
    run(weigh)
    before = state(weigh.eval())
    assert weigh(on_device(GOOD[0])).isfinite()
    assert same(state(weigh), before)


@every
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_saved_state_goes_on_bit_for_bit(text, stop, tmp_path):
    weigh = build(text)
    run(weigh, GOOD[:stop])
    torch.save(weigh.state_dict(), tmp_path / "state.pt")
    resumed = build(text)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", map_location=DEVICE))
    assert torch.equal(run(resumed, GOOD * 2), run(weigh, GOOD * 2))
    assert same(state(resumed), state(weigh))


@pytest.mark.parametrize("text", [*LIBRARY, *VARIANTS[:2], "adaloss(refresh_period=3)"])
@pytest.mark.parametrize("way", ["loaded", "assigned", "copied"])
def test_made_on_the_meta_device_it_goes_on_from_a_state(text, way):
    weigh = build(text)
    run(weigh, GOOD[:2])
    with torch.device("meta"):
        other = WEIGHTINGS.build(text, num_exits=3, seed=0)
    other.state_dict()
    if way != "assigned":
        other.to_empty(device=DEVICE)
        for value in other.buffers():
            value.fill_(7)  # what memory may hold
        other.check()
    if way == "copied":  # as Hugging Face's from_pretrained does it, with no hook of ours
        for name, value in weigh.state_dict().items():
            other.get_buffer(name).copy_(value)
    else:
        other.load_state_dict(state(weigh), assign=way == "assigned")
    assert torch.equal(run(other, GOOD * 2), run(weigh, GOOD * 2))
    assert same(state(other), state(weigh))


@every
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda weigh: pickle.loads(pickle.dumps(weigh))])
def test_copies_go_on_alike_and_by_themselves(text, copied):
    weigh = build(text)
    run(weigh, GOOD[:3])
    before = state(weigh)
    other = copied(weigh)
    results = run(other)
    assert same(state(weigh), before)
    assert torch.equal(run(weigh), results)


@every
def test_reset_goes_back_to_the_start(text):
    weigh = build(text)
    run(weigh)
    weigh.reset()
    assert same(state(weigh), state(build(text)))
    assert torch.equal(run(weigh, GOOD * 2), run(build(text), GOOD * 2))


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_state_stays_in_single_precision_in_a_model_of_half(text, dtype):
    model = torch.nn.ModuleDict({"weigh": build(text)}).to(dtype)
    objective = model["weigh"](on_device(GOOD[0]).to(dtype).requires_grad_())
    objective.backward()
    assert objective.isfinite()
    assert not {value.dtype for value in model.buffers()} & {torch.float16, torch.bfloat16}


@pytest.mark.parametrize("text", [*LIBRARY, *VARIANTS[:2]])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_made_where_half_is_the_default_it_is_the_same(text, dtype):
    usual = build(text, 8)
    torch.set_default_dtype(dtype)  # as Hugging Face does with dtype=…
    try:
        weigh = build(text, 8)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(value.dtype == usual.get_buffer(name).dtype for name, value in weigh.named_buffers())
    assert same(state(weigh), state(usual))


@every
def test_double_precision_is_kept(text):
    weigh = build(text).double()
    assert weigh(on_device(GOOD[0]).double()).dtype == weigh.weights.dtype == torch.float64
    weigh = build(text)
    assert weigh(on_device(GOOD[0]).double()).dtype == torch.float64  # of the losses alone
    assert weigh.weights.dtype == torch.float32


@every
def test_compiles_without_a_graph_break(text):
    torch.compiler.reset()
    plain, compiled = build(text), build(text)
    call = torch.compile(compiled, fullgraph=True, backend="eager")
    torch.testing.assert_close(run(compiled, call=call), run(plain))
    torch.testing.assert_close(state(compiled), state(plain))
    torch.testing.assert_close(run(compiled), run(plain))  # and goes on outside of the graph


@every
def test_under_torch_func_it_works_or_says_what_to_do(text):
    weigh = build(text)
    losses = on_device(GOOD[0])
    still = copy.deepcopy(weigh).eval()
    gradient = torch.func.grad(still)(losses)
    assert gradient.isfinite().all()
    still = pickle.loads(pickle.dumps(copy.deepcopy(still)))  # nothing of the transform is left
    rows = on_device(GOOD[:2])
    torch.testing.assert_close(torch.func.vmap(still)(rows), torch.stack([still(row) for row in rows]))
    if type(weigh) is LossWeighting:
        assert torch.equal(torch.func.grad(weigh)(losses), gradient)
        weigh.check()
        return
    with pytest.raises(RuntimeError) as caught:
        torch.func.grad(weigh)(losses)
    assert "call eval() before" in caught.value.__notes__[0]


# --- devices -------------------------------------------------------------------------------------------------------


@every
def test_no_value_is_read(text):
    """Tensors of the meta device have none."""
    weigh = WEIGHTINGS.build(text, num_exits=3, seed=0).to("meta")
    for _ in range(2):
        weigh(torch.ones(3, device="meta", requires_grad=True)).backward()
    weigh.end_epoch()
    with torch.device("meta"):
        assert WEIGHTINGS.build(text, num_exits=5, seed=0).weights.shape == (5,)


@pytest.mark.parametrize(
    ("text", "usual", "highest"),
    [
        *((text, 3, 3) for text in ("const", "linear", "half_end", "sieve", "exponential", "opt")),
        ("adaloss", 8, 15),  # the highest in each hundredth step, when the weights are refreshed
        ("adaloss_formula", 25, 25),
    ],
)
def test_operations_per_call_for_nine_exits(text, usual, highest, deferred):
    weigh = build(text, 9)
    losses = torch.rand(9, device=DEVICE, requires_grad=True)
    counts = []
    for _ in range(100):
        with Operations() as operations:
            weigh(losses)
        counts.append(len(operations.names))
    assert sorted(counts)[50] <= usual, operations.names
    assert max(counts) <= highest, operations.names


# --- bad losses ----------------------------------------------------------------------------------------------------


def after_two_steps(text):
    weigh = build(text)
    run(weigh, GOOD[:2])
    return weigh


@every
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 2])
def test_a_bad_loss_on_a_cpu_is_an_error_that_names_the_exit(text, bad, place):
    weigh = after_two_steps(text).cpu()
    before = state(weigh)
    losses = torch.tensor([3.0, 2.0, 1.0])
    losses[place] = bad
    for mode in (weigh.train(), weigh.eval()):
        with pytest.raises(BadLoss) as caught:
            mode(losses)
        assert caught.value.exit == place + 1
    assert same(state(weigh), before)


@every
@pytest.mark.parametrize("bad", BAD)
def test_a_grad_scaler_leaves_out_a_step_with_a_bad_loss(text, bad, deferred):
    """Where no value is looked at; and ``check`` names the exit."""
    weigh = after_two_steps(text)
    weigh.check()
    theta = torch.nn.Parameter(torch.ones(3, device=DEVICE))
    optimiser = torch.optim.SGD([theta, *weigh.parameters()], lr=0.1)
    scaler = torch.amp.GradScaler(DEVICE.type, init_scale=8.0)

    def step(values):
        before = [value.clone() for group in optimiser.param_groups for value in group["params"]]
        optimiser.zero_grad()
        # a fault that autograd does not see: only the weighting can stop the step
        losses = theta.square() * on_device(values)
        losses = losses + (on_device(values) - losses).detach()
        scaler.scale(weigh(losses)).backward()
        scaler.step(optimiser)
        scaler.update()
        return [torch.equal(*pair) for pair in zip(before, optimiser.param_groups[0]["params"], strict=True)]

    assert all(step([3.0, bad, 1.0]))
    assert scaler.get_scale() == 4
    with pytest.raises(BadLoss) as caught:
        weigh.check()
    assert caught.value.exit == 2
    fresh = copy.deepcopy(weigh)
    fresh.reset()
    fresh.check()
    assert weigh.weights.isfinite().all()
    assert not any(step([3.0, 2.0, 1.0]))  # and training goes on
    weigh.check()
    weigh.end_epoch()
    assert all(value.isfinite().all() for name, value in state(weigh).items() if value.is_floating_point())
