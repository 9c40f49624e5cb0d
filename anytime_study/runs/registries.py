"""What the texts in configs name: the networks and weightings of the study. A new one is one line here."""

from anytime_study.foundations.registry import Registry

NETWORKS = Registry(
    kind="network",
    entries={  # networks
        "resann": "anytime_core.networks.resann:ResANN",
        "denseann": "anytime_core.networks.denseann:DenseANN",
        "msdnet": "anytime_core.networks.msdnet:MSDNet",
        "msdnet_original": "anytime_core.networks.msdnet:MSDNet.original",
        "eann": "anytime_study.runs.eann:eann",
        "two_heads": "anytime_study.runs.two_heads:TwoHeads",
        "gpt": "anytime_study.runs.gpt:gpt",
        "resann_imagenet": "anytime_study.runs.imagenet:resann_imagenet",
        "denseann_imagenet": "anytime_study.runs.imagenet:denseann_imagenet",
        "msdnet_imagenet": "anytime_study.runs.imagenet:msdnet_imagenet",
    },
    supplied=frozenset({"num_classes", "in_channels", "context"}),
    largest=1000,
)

WEIGHTINGS = Registry(
    kind="weighting",
    entries={  # weightings
        "const": "anytime_core.weighting.static:const",
        "linear": "anytime_core.weighting.static:linear",
        "half_end": "anytime_core.weighting.static:half_end",
        "sieve": "anytime_core.weighting.static:sieve",
        "exponential": "anytime_study.runs.weightings:exponential",
        "opt": "anytime_core.weighting.static:opt",
        "adaloss": "anytime_study.runs.weightings:adaloss",
        "adaloss_released": "anytime_study.runs.weightings:adaloss",
        "adaloss_formula": "anytime_study.runs.weightings:adaloss",
        "sampled": "anytime_study.runs.sampled:Sampled",
        "gls": "anytime_study.runs.weightings:gls",
        "uw": "anytime_study.runs.weightings:uw",
        "imtl_l": "anytime_study.runs.weightings:imtl_l",
        "dwa": "anytime_study.runs.dwa:DynamicWeightAverage",
        "stch": "anytime_study.runs.weightings:stch",
    },
    supplied=frozenset({"num_exits", "parameters", "seed"}),
    defaults={
        "adaloss_released": {"momentum": 0.9},  # of the authors' command line
        "adaloss_formula": {
            "momentum": 0.96,
            "refresh_period": 1,
            "floor": 0.0,
            "bias_correction": True,
            "normalisation": "sum",
        },
    },
    own="anytime_core.weighting.base:LossWeighting",
)


def short_name(network: str) -> str:
    """``(n, c)`` where a network has both, as the paper writes its ResANNs; else its text."""
    options = NETWORKS.parse(network).options
    return f"({options['n']}, {options['c']})" if {"n", "c"} <= options.keys() else network


def sized_name(network: str) -> str:
    """The text with n and c, where a network has both, be they defaults or not: resann -> resann(n=3, c=16)."""
    spec = NETWORKS.parse(network)
    if not {"n", "c"} <= spec.options.keys():
        return network
    defaults = NETWORKS.options(spec.name)
    said = [f"{k}={v!r}" for k, v in spec.options.items() if k in ("n", "c") or v != defaults[k].default]
    return f"{spec.name}({', '.join(said)})"
