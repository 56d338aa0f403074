"""JSON that comes from outside."""

from __future__ import annotations

from typing import Any

from flask.json.provider import DefaultJSONProvider
from pydantic_core import from_json


class BodyReader(DefaultJSONProvider):
    """Reads JSON of any depth without running out of stack, and none with lone surrogates; writes it as Flask does.

    Whatever is no JSON raises a ``ValueError``, so ``request.get_json`` answers 400. ``json.loads`` raises ``RecursionError`` at some thousand levels, which nobody expects of a body.
    """

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Return the document of a body. NaN is accepted here: who validates it has a better word for it."""
        return from_json(s, allow_inf_nan=True)
