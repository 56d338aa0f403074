"""Secrets: looked up when they are needed, and left out of whatever is shown or stored."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from caudal.errors import EnvironmentProblem
from caudal.spec.web import Env


def revealed(value: Any) -> str:
    """Return the text of a declared value; of an `Env` the variable's content."""
    if not isinstance(value, Env):
        return str(value)
    found = os.environ.get(value.name)
    if found is None:
        raise EnvironmentProblem(
            f"The environment variable '{value.name}' is not set; a source takes a secret from it.",
            fix=f"Set {value.name} and run again.",
            variable=value.name,
        )
    return found


def looked_up(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with every `Env` replaced by its content."""
    return {
        name: revealed(one) if isinstance(one, Env) else looked_up(one) if isinstance(one, Mapping) else one
        for name, one in values.items()
    }


def masked(text: str) -> str:
    """Return a text whose addresses show no password.

    Examples
    --------
    >>> masked("sftp://ann:secret@host:22/in/*.csv"), masked("https://token@host/x")
    ('sftp://ann:***@host:22/in/*.csv', 'https://***@host/x')
    """
    text = re.sub(r"(\w+://[^/\s:@]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(r"(https?://)[^/\s:@]+@", r"\1***@", text)


def without_user(url: str) -> tuple[str, str | None, str | None]:
    """Return an address without user and password, and these.

    Examples
    --------
    >>> without_user("sftp://ann:secret@host:22/in")
    ('sftp://host:22/in', 'ann', 'secret')
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return urlunsplit(parts._replace(netloc=host)), user, password
