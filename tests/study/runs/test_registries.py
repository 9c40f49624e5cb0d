import pytest
import torch

from anytime_study.runs.registries import WEIGHTINGS, short_name, sized_name

ADALOSS = {
    "momentum": 0.99,
    "refresh_period": 100,
    "floor": 0.07,
    "final_extra": 0.0,
    "bias_correction": False,
    "normalisation": "max",
    "epsilon": 1e-8,
    "floor_kind": "const",
    "order": 0,
    "squared": False,
}
FORMULA = {"momentum": 0.96, "refresh_period": 1, "floor": 0.0, "bias_correction": True, "normalisation": "sum"}
NAMED = {  # what has named runs: options in this order, with these defaults
    "exponential": {"base": 2.0},
    "opt": {"exit": None},
    "adaloss": ADALOSS,
    "adaloss_released": {**ADALOSS, "momentum": 0.9},
    "adaloss_formula": {**ADALOSS, **FORMULA},
    "sampled": {"scheme": "sieve", "draw": "static", "rho": 2.0},
    "dwa": {"temperature": 2.0},
    "stch": {"mu": 0.1},
    **{key: {} for key in ("const", "linear", "half_end", "sieve", "gls", "uw", "imtl_l")},
}


@pytest.mark.parametrize("name", NAMED)
def test_names_keep_the_order_and_the_defaults_of_their_options(name):
    options = {key: option.default for key, option in WEIGHTINGS.options(name).items()}
    assert list(options.items()) == list(NAMED[name].items())


@pytest.mark.parametrize("name", ["adaloss", "adaloss_released", "adaloss_formula"])
def test_adaloss_is_built_with_its_options(name):
    weigh = WEIGHTINGS.build(name, num_exits=3)
    assert {key: getattr(weigh, key) for key in ADALOSS if key not in ("order", "squared")} == {
        key: value for key, value in NAMED[name].items() if key not in ("order", "squared")
    }
    assert weigh.measure is None
    theta = torch.nn.Parameter(torch.ones(()))
    assert WEIGHTINGS.build(f"{name}(order=1, squared=True)", num_exits=3, parameters=[theta]).measure.squared


@pytest.mark.parametrize(("options", "found"), [("order=1", "parameters"), ("squared=True", "squared")])
def test_options_that_do_not_fit_together_are_refused(options, found):
    with pytest.raises(ValueError, match=f"AdaLoss {found}: expected "):
        WEIGHTINGS.build(f"adaloss({options})", num_exits=3)


@pytest.mark.parametrize(
    ("network", "short", "sized"),
    [
        ("resann", "(3, 16)", "resann(n=3, c=16)"),
        ("resann(n=25, s=3)", "(25, 16)", "resann(n=25, c=16, s=3)"),
        ("two_heads(n=2)", "(2, 16)", "two_heads(n=2, c=16)"),
        ("msdnet(s=2)", "msdnet(s=2)", "msdnet(s=2)"),
    ],
)
def test_labels_say_the_size_even_if_it_is_the_default(network, short, sized):
    assert (short_name(network), sized_name(network)) == (short, sized)
