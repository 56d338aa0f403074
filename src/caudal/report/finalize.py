"""The filter that every value passes before it is written to a page."""

from __future__ import annotations

from markupsafe import Markup

from caudal.secret import redact


def without_secrets(value: object) -> object:
    """Return a template's value without secrets; markup, and what is not text, is returned unchanged."""
    return redact(value) if isinstance(value, str) and not isinstance(value, Markup) else value
