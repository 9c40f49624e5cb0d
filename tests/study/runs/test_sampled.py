import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anytime_study.runs.sampled import SCHEMES, Sampled, splitmix64


def history(weigh, count):
    """Weights of ``count`` steps, [count, K]."""
    rows = []
    for _ in range(count):
        rows.append(weigh.weights.clone())
        weigh(torch.ones(weigh.num_exits))
    return torch.stack(rows) if rows else None


@pytest.mark.parametrize(
    ("seed", "numbers"),
    [
        # published with the generator's reference implementation
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ],
)
def test_splitmix_gives_the_known_numbers(seed, numbers):
    assert (splitmix64(seed, torch.arange(1, 4)).numpy().view(np.uint64) == np.array(numbers, np.uint64)).all()


def test_the_first_step_by_hand():
    # SIEVE for 4 exits: early 1, 2, 1 over 4; the last 1; W = 2
    assert Sampled(4).weights.tolist() == [0.25, 0.5, 0.25, 1 + 2 / 2]
    assert Sampled(4, rho=4.0).weights.tolist() == [0.25, 0.5, 0.25, 1 + 2 / 4]
    assert Sampled(4, rho=0.0).weights.tolist() == [0, 0, 0, 2]
    assert Sampled(4, scheme="const", rho=-1.0).weights.tolist() == [0, 0, 0, 4]


@given(
    st.integers(1, 12),
    st.sampled_from(sorted(SCHEMES)),
    st.sampled_from(["static", "uniform"]),
    st.sampled_from([0.5, 2.0, 0.0]),
    st.integers(0, 2**63 - 1),
)
def test_one_exit_gets_the_extra_in_every_step(num_exits, scheme, draw, rho, seed):
    rows = history(Sampled(num_exits, scheme=scheme, draw=draw, rho=rho, seed=seed), 5)
    static = SCHEMES[scheme](num_exits).weights
    mass = static.sum()
    extra = rows - static if rho > 0 else rows
    chosen = extra > 0.5 * mass * (1 / rho if rho > 0 else 1)
    assert (chosen.sum(1) == 1).all()
    assert chosen[0, -1]
    torch.testing.assert_close(extra.sum(1), (mass / (rho or 1)).expand(5))
    torch.testing.assert_close(rows[~chosen], (static if rho > 0 else torch.zeros_like(static)).expand(5, -1)[~chosen])


def test_seeds_differ_and_repeat():
    first, again, other = (history(Sampled(4, seed=seed), 50) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("scheme", "opt"),
        ("draw", "best"),
        *(("rho", value) for value in (float("nan"), float("inf"), 1e-300)),
        *(("seed", value) for value in (-1, 2**63)),
    ],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ValueError, match=rf"Sampled {option}: expected .*, found"):
        Sampled(4, **{option: value})


@pytest.mark.parametrize(("draw", "chances"), [("static", [1 / 8, 1 / 4, 1 / 8, 1 / 2]), ("uniform", [1 / 4] * 4)])
def test_exits_are_drawn_by_their_chances(draw, chances):
    rows = history(Sampled(4, draw=draw, rho=0.0, seed=1), 4000)
    shares = (rows > 0).double().mean(0)
    assert shares.tolist() == pytest.approx(chances, abs=0.03)
