"""Names of data of one's own, ``folder:PATH`` and ``text:PATH``, with options after a question mark.

What was found at the path becomes part of the name: so a configuration with this name says all that there is to know of
the data, and a record of it can be read where the data are not. Names of runs have a digest in the place of the path:
they do not depend on where the data lie, and other data give other runs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict

from anytime_core.errors import InputError
from anytime_study.foundations.validation import validated


class Query(BaseModel):
    """What follows the question mark: options, and what was found; the digest is empty as long as nobody has looked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = ""


Options = TypeVar("Options", bound=Query)


def parsed(text: str, options: type[Options]) -> tuple[Path, Options]:
    """The absolute path in such a name, and its options.

    Raises:
        InputError: there is no path, or an option is unknown or out of range.
    """
    kind, _, rest = text.partition(":")
    place, _, query = rest.partition("?")
    if not place:
        raise InputError(f"expected {kind}:PATH, found {text!r}, which has no path")
    given = dict(parse_qsl(query, keep_blank_values=True))
    return Path(place).expanduser().resolve(), validated(options, given, where=f"options of {kind}:{place}")


def names(kind: str, path: Path, options: Query, identity: str) -> tuple[str, str]:
    """Name and label of a card: the latter has a digest of the identity."""
    told = options.model_dump(exclude={"digest"}) | {"digest": options.digest}
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return f"{kind}:{path}?{urlencode(told, safe='/')}", f"{kind}-{digest[:12]}"
