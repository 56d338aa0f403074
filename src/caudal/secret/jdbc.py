"""A JDBC address without its secrets; every database has its own dialect."""

from __future__ import annotations

import re
from urllib.parse import unquote

from caudal.secret.names import is_secret_name

PREFIX = "jdbc:"
_USER = re.compile(r"^(jdbc:[^/]*://[^:/@]*:|jdbc:oracle:\w+:[^/@]*/)(.*)@")


def is_jdbc(url: str) -> bool:
    """Return whether a URL is a JDBC URL."""
    return url.startswith(PREFIX)


def shown_jdbc_url(url: str) -> str:
    """Return a JDBC address without its passwords.

    Examples
    --------
    >>> shown_jdbc_url("jdbc:sqlserver://db;user=anna;password={a;b};databaseName=shop"), shown_jdbc_url("jdbc:oracle:thin:anna/x@//db/shop")
    ('jdbc:sqlserver://db;user=anna;databaseName=shop', 'jdbc:oracle:thin:anna@//db/shop')
    """
    head, mark, options = _split(url)
    shown_options = [option for option in options if not is_secret_name(option.partition("=")[0])]
    return _USER.sub(lambda login: f"{login[1][:-1]}@", head) + (mark + _between(mark).join(shown_options) if shown_options else "")


def jdbc_passwords(url: str) -> list[str]:
    """Return the passwords in a JDBC address, both as written and decoded.

    Examples
    --------
    >>> jdbc_passwords("jdbc:postgresql://db/shop?user=anna&password=a%20b")
    ['a%20b', 'a b']
    """
    head, _, options = _split(url)
    written = [option.partition("=")[2] for option in options if is_secret_name(option.partition("=")[0])]
    if login := _USER.match(head):
        written.append(login[2])
    decoded = [form for word in written for form in (word, unquote(word), word.strip("{}"))]
    return [form for form in dict.fromkeys(decoded) if form]


def _split(url: str) -> tuple[str, str, list[str]]:
    """Return the text before the options, the character that begins them, and the options."""
    # A password in the login may contain the character that begins the options: the options begin after the last @ before a host.
    begin = login.end() if (login := re.match(r"jdbc:[^/;?]*(?://)?[^:/@;?]*[:/][^=]*@", url)) else 0
    sign = re.search("[?;]", url[begin:])
    if sign is None:
        return url, "", []
    mark, rest = sign[0], url[begin + sign.end() :]
    # SQL Server's values may be in braces, and contain the separator.
    options = rest.split("&") if mark == "?" else re.findall(r"(?:\{[^}]*\}|[^;])+", rest)
    return url[: begin + sign.start()], mark, [option for option in options if option]


def _between(mark: str) -> str:
    return "&" if mark == "?" else mark
