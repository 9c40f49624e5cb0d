"""What the name of a network tells, such as ``resann(n=3, c=16)``."""

from __future__ import annotations

import ast
from typing import Any

from anytime_study.runs.registries import NETWORKS


def network_options(network: str) -> dict[str, Any]:
    """All options of a network by name, those that are left out with their defaults.

    Args:
        network: As a config spells it: options by keyword.
    """
    call = ast.parse(network, mode="eval").body
    given = {word.arg: ast.literal_eval(word.value) for word in call.keywords} if isinstance(call, ast.Call) else {}
    options = NETWORKS.options(network.partition("(")[0])
    return {name: given.get(name, option.default) for name, option in options.items()}


def sized_name(network: str) -> str:
    """The name with its n and c, where a network has both, be they defaults or not: resann -> resann(n=3, c=16)."""
    options = network_options(network)
    if not {"n", "c"} <= options.keys():
        return network
    kind, _, given = network.partition("(")
    others = [text for text in given.rstrip(")").split(", ") if text and text.partition("=")[0] not in ("n", "c")]
    said = [f"{name}={options[name]}" for name in ("n", "c")]
    return f"{kind}({', '.join([*said, *others])})"


def short_name(network: str) -> str:
    """``(n, c)`` where a network has both, as the paper writes its ResANNs; else the name itself."""
    options = network_options(network)
    return f"({options['n']}, {options['c']})" if {"n", "c"} <= options.keys() else network
