"""What every value goes through before it stands on a page."""

from __future__ import annotations

from markupsafe import Markup

from caudal.secret import redact


def without_secrets(value: object) -> object:
    """Return a value of a template without secrets; ``None`` and markup of our own are as they were."""
    return redact(value) if isinstance(value, str) and not isinstance(value, Markup) else value
