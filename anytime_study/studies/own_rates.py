"""A study may fix a learning rate for each weighting."""

from collections.abc import Mapping
from typing import Any


def with_own_rate(fields: Mapping[str, Any], own_rates: Mapping[str, float]) -> dict[str, Any]:
    """The fields of a run with the learning rate of its weighting, where they do not give one.

    ``own_rates`` are by the name of the weighting without its options, such as ``opt`` for ``opt(exit=2)``.
    """
    name = str(fields.get("weighting", "adaloss")).partition("(")[0]
    return {**({"learning_rate": own_rates[name]} if name in own_rates else {}), **fields}
