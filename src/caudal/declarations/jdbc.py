"""A JDBC address: which driver it is for."""

from __future__ import annotations

import re

from caudal.secret.jdbc import is_jdbc

__all__ = ["KNOWN", "is_driver", "is_jdbc", "kind_of"]

KNOWN = {"postgresql": "postgresql"}
"""The connector of caudal's own that brings the driver, by what stands behind ``jdbc:``."""
_COORDINATES = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+")


def kind_of(url: str) -> str:
    """Return which database a JDBC address is for.

    Examples
    --------
    >>> kind_of("jdbc:sqlserver://db:1433;databaseName=shop")
    'sqlserver'
    """
    return url.split(":", 2)[1]


def is_driver(said: str) -> bool:
    """Tell whether a text can name a driver: Maven coordinates, or a jar's path.

    Examples
    --------
    >>> is_driver("com.h2database:h2:2.3.232"), is_driver("drivers/ojdbc11.jar"), is_driver("org.h2.Driver")
    (True, True, False)
    """
    return said.endswith(".jar") or _COORDINATES.fullmatch(said) is not None
