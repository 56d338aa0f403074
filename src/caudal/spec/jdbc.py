"""A JDBC address: which driver it is for, and its text without what is secret."""

from __future__ import annotations

import re
from urllib.parse import unquote

PREFIX = "jdbc:"
KNOWN = {"postgresql": "postgresql"}
"""The connector of caudal's own that brings the driver, by what stands behind ``jdbc:``."""
_SECRET = re.compile("password|passwd|passphrase|pwd|secret|token|credential", re.IGNORECASE)
_USER = re.compile(r"^(jdbc:[^/]*://[^:/@]*:|jdbc:oracle:\w+:[^/@]*/)(.*)@")
_COORDINATES = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+")


def is_jdbc(url: str) -> bool:
    """Tell whether a URL is JDBC's."""
    return url.startswith(PREFIX)


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


def shown_jdbc(url: str) -> str:
    """Return a JDBC address without its passwords.

    Examples
    --------
    >>> shown_jdbc("jdbc:postgresql://db/shop?user=anna&password=a;b&ssl=true")
    'jdbc:postgresql://db/shop?user=anna&ssl=true'
    >>> shown_jdbc("jdbc:sqlserver://db;user=anna;password={a;b};databaseName=shop"), shown_jdbc("jdbc:oracle:thin:anna/x@//db/shop")
    ('jdbc:sqlserver://db;user=anna;databaseName=shop', 'jdbc:oracle:thin:anna@//db/shop')
    """
    head, mark, options = _parted(url)
    kept = [one for one in options if not _SECRET.search(one)]
    return _USER.sub(lambda found: f"{found[1][:-1]}@", head) + (mark + _between(mark).join(kept) if kept else "")


def secrets(url: str) -> list[str]:
    """Return the passwords of a JDBC address, as they are written and as they are meant.

    Examples
    --------
    >>> secrets("jdbc:postgresql://db/shop?user=anna&password=a%20b")
    ['a%20b', 'a b']
    """
    head, _, options = _parted(url)
    said = [one.partition("=")[2] for one in options if _SECRET.search(one)]
    if user := _USER.match(head):
        said.append(user[2])
    meant = [form for one in said for form in (one, unquote(one), one.strip("{}"))]
    return [one for one in dict.fromkeys(meant) if one]


def _parted(url: str) -> tuple[str, str, list[str]]:
    """Return what stands before the options, the sign that begins them, and the options."""
    found = re.search("[?;]", url)
    if found is None:
        return url, "", []
    mark, rest = found[0], url[found.end() :]
    # SQL Server's values may stand in braces, and hold the sign that ends them.
    options = rest.split("&") if mark == "?" else re.findall(r"(?:\{[^}]*\}|[^;])+", rest)
    return url[: found.start()], mark, [one for one in options if one]


def _between(mark: str) -> str:
    return "&" if mark == "?" else mark
