import numpy as np
import pytest

from anytime_core.weighting import static
from anytime_study.theory.quadratics import linear_residual
from anytime_study.theory.solutions import fixed_weights, relative_increases, solutions

# Six exits, ρ = 0.8: σ² -> name -> (mean of loss / OPT - 1, that of the last exit, mean ln ratio), as printed, computed
# apart from this code
SIX = {
    0.01: {
        "CONST": ("23.6", "136", "1.33"), "LINEAR": ("12.5", "71", "1.15"), "SIEVE": ("10.5", "58", "1.19"),
        "AdaLoss": ("0.915", "0.027", "0.608"), "AdaLoss with floor": ("3.91", "19.9", "0.956"),
        "OPT, last exit": ("0.933", "0", "0.613"),
    },
    1.0: {
        "CONST": ("0.625", "1.36", "0.457"), "LINEAR": ("0.456", "0.713", "0.372"),
        "SIEVE": ("0.508", "0.581", "0.406"), "AdaLoss": ("0.413", "0.297", "0.341"),
        "AdaLoss with floor": ("0.416", "0.413", "0.346"), "OPT, last exit": ("0.572", "0", "0.433"),
    },
    10.0: {
        "CONST": ("0.130", "0.136", "0.122"), "LINEAR": ("0.127", "0.071", "0.118"),
        "SIEVE": ("0.138", "0.058", "0.128"), "AdaLoss": ("0.125", "0.090", "0.117"),
    },
}  # fmt: skip

# σ² = 0.01: loss / OPT - 1 of every exit
EVERY_EXIT = {
    "CONST": ("0.275", "0.334", "0.461", "0.879", "3.47", "136"),
    "LINEAR": ("0.463", "0.454", "0.462", "0.584", "1.77", "71.3"),
    "AdaLoss": ("0.662", "0.814", "1.03", "1.33", "1.63", "0.0268"),
}


def increases(sigma2, **arguments):
    problem = linear_residual(6, sigma2=sigma2)
    return {name: relative_increases(problem, theta) for name, theta in solutions(problem, **arguments).items()}


def agree(values, printed):
    """All printed digits are right."""
    return [
        value == pytest.approx(float(text), abs=0.51 * 10.0 ** -len(text.partition(".")[2]))
        for value, text in zip(values, printed, strict=True)
    ]


@pytest.mark.parametrize("num_exits", [2, 3, 6, 8, 15])
def test_the_fixed_weights_are_those_of_the_training_loop(num_exits):
    weights = fixed_weights(num_exits)
    for name, module in static.SCHEMES.items():
        if name.upper() in weights:
            trained_with = module(num_exits).weights.numpy()
            np.testing.assert_allclose(weights.pop(name.upper()), trained_with, rtol=1e-6)
    assert not weights  # each was compared


def test_sieve_by_hand():
    np.testing.assert_allclose(fixed_weights(8)["SIEVE"], np.array([1, 2, 1, 3, 1, 2, 1, 11]) / 11)
    np.testing.assert_allclose(fixed_weights(2)["SIEVE"], [1, 1])


def test_one_exit_has_nothing_to_balance():
    with pytest.raises(ValueError, match="num_exits: expected at least 2, found 1"):
        fixed_weights(1)


@pytest.mark.parametrize("sigma2", SIX)
def test_six_exits_are_as_in_the_table(sigma2):
    found = increases(sigma2)
    for name, printed in SIX[sigma2].items():
        increase = found[name]
        assert all(agree([increase.mean(), increase[-1], np.log1p(increase).mean()], printed)), name


@pytest.mark.parametrize("name", EVERY_EXIT)
def test_every_exit_is_as_in_the_table(name):
    assert all(agree(increases(0.01)[name], EVERY_EXIT[name]))


def test_the_optima_differ_a_thousandfold():
    assert all(agree(linear_residual(6).optima, ("10.88", "6.82", "3.68", "1.54", "0.37", "0.01")))


@pytest.mark.parametrize("sigma2", [1e-3, 0.01, 0.1, 1.0])
def test_const_is_best_early_and_adaloss_late(sigma2):
    found = increases(sigma2)
    anytime = {name: increase for name, increase in found.items() if not name.startswith("OPT")}
    assert min(anytime, key=lambda name: anytime[name][-1]) == "AdaLoss"
    assert max(anytime, key=lambda name: anytime[name][-1]) == "CONST"
    assert min(anytime, key=lambda name: anytime[name][0]) == "CONST"
    # by construction, OPT included: the mean logarithm is what AdaLoss minimises
    assert min(found, key=lambda name: np.log1p(found[name]).mean()) == "AdaLoss"


def test_under_noise_another_weighting_has_the_better_last_exit():
    found = increases(10.0)
    assert found["SIEVE"][-1] < found["LINEAR"][-1] < found["AdaLoss"][-1]
    assert min(found, key=lambda name: np.log1p(found[name]).mean()) == "AdaLoss"


def test_without_a_gap_between_the_losses_adaloss_is_const():
    def distance(sigma2):
        found = solutions(linear_residual(6, sigma2=sigma2))
        return np.linalg.norm(found["AdaLoss"] - found["CONST"]) / np.linalg.norm(found["AdaLoss"])

    assert distance(0.01) > 0.3
    assert distance(1e4) == pytest.approx(2.1e-4, abs=6e-6)
    assert distance(1e3) == pytest.approx(10 * distance(1e4), rel=0.02)


def test_with_a_wide_gap_adaloss_is_opt_of_the_last_exit_and_a_floor_trades_it_back():
    found = solutions(linear_residual(6, sigma2=1e-5))
    np.testing.assert_allclose(found["AdaLoss"], found["OPT, last exit"], atol=2e-5)
    assert np.linalg.norm(found["AdaLoss with floor"] - found["OPT, last exit"]) > 0.3


def test_the_floor_moves_adaloss_to_const():
    found = solutions(linear_residual(6), floor=1.0)
    np.testing.assert_allclose(found["AdaLoss with floor"], found["CONST"], atol=1e-12)
    found = solutions(linear_residual(6), floor=0.0)
    assert np.array_equal(found["AdaLoss with floor"], found["AdaLoss"])
    last = [increases(0.01, floor=floor)["AdaLoss with floor"][-1] for floor in (0.0, 0.01, 0.07, 0.3, 1.0)]
    assert last == sorted(last)
    assert last[-1] > 1000 * last[0]
