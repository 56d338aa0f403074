"""A secret value: it is shown as ``***`` and never pickled; `redact` removes it from texts."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from typing import Self

    from caudal.json_value import JsonValue

STARS = "***"
SHORTEST = 6  # a shorter value occurs by chance in too many texts
_known: set[str] = set()
_pattern: re.Pattern[str] | None = None
_lock = threading.Lock()


class Secret:
    """A text that only `reveal` returns.

    Examples
    --------
    >>> secret = Secret("s3cr3t-key")
    >>> f"{secret} {secret!r}", secret.reveal() == "s3cr3t-key", redact("sent s3cr3t-key")
    ('*** ***', True, 'sent ***')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str, *, user: str | None = None) -> None:
        self._text = text
        register_secret(text, user)

    def reveal(self) -> str:
        """Return the text, for code that has to send it."""
        return self._text

    def __repr__(self) -> str:
        return STARS

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("A secret is not stored: pickle would write its text.")


def register_secret(text: str, user: str | None = None) -> None:
    """Make `redact` replace a value from now on, except a password that equals the user's name."""
    global _pattern
    if len(text) < SHORTEST or text == user:
        return
    forms = {text, unquote(text)}
    if user is not None:
        forms.add(base64.b64encode(f"{user}:{text}".encode()).decode())  # as HTTP Basic authentication sends it
    forms |= {
        written
        for form in tuple(forms)
        for written in (
            quote(form, safe=""), quote(form), quote_plus(form), html.escape(form), json.dumps(form)[1:-1], repr(form)[1:-1],
        )
    }  # fmt: skip
    with _lock:
        if not forms <= _known:
            _known.update(form for form in forms if len(form) >= SHORTEST)
            _pattern = re.compile("|".join(_bounded(form) for form in sorted(_known, key=len, reverse=True)))


def _bounded(form: str) -> str:
    """Return the pattern for a value; a value of letters matches only as a whole word ("postgres" is not in "postgresql")."""
    return rf"(?<![A-Za-z]){re.escape(form)}(?![A-Za-z])" if form.isalpha() else re.escape(form)


def redact(text: str) -> str:
    """Return a text in which every registered secret is replaced, also if percent-encoded, quoted, or in a Basic header."""
    return text if _pattern is None else _pattern.sub(STARS, text)


def redacted(value: JsonValue) -> JsonValue:
    """Return a JSON-ready document in which every text is redacted; keys stay."""
    if _pattern is None:
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: redacted(inside) for name, inside in value.items()}
    if isinstance(value, (list, tuple)):  # as Python 3.8 can say it, for the script of caudal.inspection
        return [redacted(inside) for inside in value]
    return value


def forget_secrets() -> None:
    """Forget all registered values, so that tests in one process do not affect each other."""
    global _pattern
    with _lock:
        _known.clear()
        _pattern = None
