"""Secrets of sources: read when they are needed, and never shown or stored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from caudal.declarations.web import Env
from caudal.errors import EnvironmentProblem
from caudal.secret import Secret, hide_in_addresses, redact


def reveal(value: object, user: str | None = None) -> str:
    """Return the text of a declared value; for an `Env` the variable's content, which is masked in all output from then on."""
    if isinstance(value, Secret):
        return value.reveal()
    if not isinstance(value, Env):
        return str(value)
    content = os.environ.get(value.name)
    if content is None:
        raise EnvironmentProblem(
            f"The environment variable '{value.name}' is not set; a declaration takes a secret from it.",
            fix=f"Set {value.name} and run again.",
            variable=value.name,
        )
    return Secret(content, user=user).reveal()


def reveal_settings(values: Mapping[str, object]) -> dict[str, Any]:
    """Return nested settings with every `Env` and every `Secret` replaced by its content."""
    return {
        name: reveal(value) if isinstance(value, Env | Secret) else reveal_settings(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }


def mask_secrets(text: str) -> str:
    """Return a library's text without secrets.

    Examples
    --------
    >>> mask_secrets("no answer of sftp://ann:hush@host:22/in/*.csv")
    'no answer of sftp://ann@host:22/in/*.csv'
    """
    return redact(hide_in_addresses(text))


def without_user(url: str) -> str:
    """Return an address without its user; landed files are identified by it. On the web ``%40`` and ``@`` in a path are the same.

    Examples
    --------
    >>> without_user("sftp://ann@host:22/in"), without_user("https://ann@host/%40team/a.csv")
    ('sftp://host:22/in', 'https://host/@team/a.csv')
    """
    parts = urlsplit(url)
    path = parts.path.replace("%40", "@") if parts.scheme in ("http", "https") else parts.path
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path))
