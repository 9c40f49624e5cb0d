"""Ways to weigh the losses of the exits. A new one is one file here and one line in ``WEIGHTINGS``."""

from anytime_core.foundations.registry import Registry

WEIGHTINGS = Registry(
    kind="weighting",
    entries={
        "const": "anytime_core.weighting.static:const",
        "linear": "anytime_core.weighting.static:linear",
        "half_end": "anytime_core.weighting.static:half_end",
        "sieve": "anytime_core.weighting.static:sieve",
        "exponential": "anytime_core.weighting.static:exponential",
        "opt": "anytime_core.weighting.static:opt",
        "adaloss": "anytime_core.weighting.adaptive:AdaLoss",
        "adaloss_released": "anytime_core.weighting.adaptive:AdaLoss.released",
        "adaloss_formula": "anytime_core.weighting.adaptive:AdaLoss.formula",
        "sampled": "anytime_core.weighting.sampled:Sampled",
        "gls": "anytime_core.weighting.scalarized:gls",
        "uw": "anytime_core.weighting.scalarized:uw",
        "imtl_l": "anytime_core.weighting.scalarized:imtl_l",
        "dwa": "anytime_core.weighting.scalarized:DynamicWeightAverage",
        "stch": "anytime_core.weighting.scalarized:stch",
    },
    supplied=frozenset({"num_exits", "parameters", "seed"}),
)
