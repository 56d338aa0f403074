"""JDBC addresses and the drivers that they need."""

from __future__ import annotations

import re

from caudal.secret.jdbc import is_jdbc

__all__ = ["KNOWN", "database_kind", "is_driver", "is_jdbc"]

KNOWN = {"postgresql": "postgresql"}
"""The connector of caudal that brings the driver, by the part of the URL after ``jdbc:``."""
_COORDINATES = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+")


def database_kind(url: str) -> str:
    """Return the kind of database of a JDBC address.

    Examples
    --------
    >>> database_kind("jdbc:sqlserver://db:1433;databaseName=shop")
    'sqlserver'
    """
    return url.split(":", 2)[1]


def is_driver(text: str) -> bool:
    """Return whether a text is Maven coordinates or the path of a jar.

    Examples
    --------
    >>> is_driver("com.h2database:h2:2.3.232"), is_driver("drivers/ojdbc11.jar"), is_driver("org.h2.Driver")
    (True, True, False)
    """
    return text.endswith(".jar") or _COORDINATES.fullmatch(text) is not None
