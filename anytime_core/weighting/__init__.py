"""Ways to weigh the losses of the exits. A new one is one file here and one line in ``WEIGHTINGS``."""

from anytime_core.registry import Registry

WEIGHTINGS = Registry(
    kind="weighting",
    entries={
        "const": "anytime_core.weighting.static:const",
        "linear": "anytime_core.weighting.static:linear",
        "opt": "anytime_core.weighting.static:opt",
        "adaloss": "anytime_core.weighting.adaptive:AdaLoss",
        "adaloss_released": "anytime_core.weighting.adaptive:AdaLoss.released",
        "adaloss_formula": "anytime_core.weighting.adaptive:AdaLoss.formula",
    },
    supplied=frozenset({"num_exits"}),
)
