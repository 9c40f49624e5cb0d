"""Labels of networks for people."""

from __future__ import annotations

from anytime_study.runs.registries import NETWORKS


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
