"""Addresses: separate the secret parts from those that may be shown, in the same way for every scheme."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from caudal.secret import jdbc
from caudal.secret.names import is_secret_name
from caudal.secret.value import STARS, Secret, register_secret

_IN_TEXT = re.compile(r"(?:jdbc:[^\s'\"<>]+|[A-Za-z][\w+.-]*://[^\s'\"<>]+)")
_AMBIGUOUS = "a '/', '?' or '#' before an '@' may be a part of its password"


@dataclass(frozen=True)
class _Parts:
    """``scheme://user:password@host``, and the ``tail`` from the path on; ``fault`` says why the address is ambiguous."""

    scheme: str
    user: str | None
    password: str | None
    host: str
    tail: str
    fault: str | None = None


class Address(Secret):
    """An address as declared; its text form contains no password, token or secret parameter.

    Examples
    --------
    >>> address = Address("sftp://ann:p%40ssw0rd@host:22/in/*.csv?x=1&token=t0ps3cret")
    >>> print(address), address.user, address.password.reveal(), address.bare
    sftp://ann@host:22/in/*.csv?x=1
    (None, 'ann', 'p@ssw0rd', 'sftp://host:22/in/*.csv?x=1&token=t0ps3cret')
    """

    __slots__ = ("bare", "fault", "password", "shown", "user")

    def __init__(self, text: str) -> None:
        self._text = text
        parts = None if jdbc.is_jdbc(text) else _split(text)
        self.fault = parts.fault if parts else None
        self.user = unquote(parts.user) if parts and parts.user else None
        self.password = (
            Secret(unquote(parts.password), user=self.user) if parts and parts.password else None
        )  # an empty password counts as none
        self.bare = f"{parts.scheme}{parts.host}{parts.tail}" if parts else text
        self.shown = shown(text)
        for password in passwords_of(text):
            register_secret(password, self.user if self.password else None)  # without a password, the user is the token

    @property
    def is_secret(self) -> bool:
        """Whether any part of it is hidden."""
        return self.shown != self._text

    @property
    def escaped(self) -> str:
        """The address with user and password percent-encoded, so that every library reads it the same way."""
        parts = None if jdbc.is_jdbc(self._text) else _split(self._text)
        if parts is None or parts.password is None or parts.fault:
            return self._text
        user, password = quote(unquote(parts.user or ""), safe=""), quote(unquote(parts.password), safe="")
        return f"{parts.scheme}{user}:{password}@{parts.host}{parts.tail}"

    @property
    def secret_parameters(self) -> list[tuple[str, str]]:
        """The names and values of its secret parameters."""
        options = self.bare.partition("?")[2].partition("#")[0].split("&")
        pairs = [(unquote(name), unquote(value)) for name, _, value in (option.partition("=") for option in options)]
        return [(name, value) for name, value in pairs if is_secret_name(name)]

    def __repr__(self) -> str:
        return self.shown


def shown(text: str) -> str:
    """Return an address without its secrets: password, token, and parameters with secret names.

    Examples
    --------
    >>> shown("postgresql://anna:secret@db:5432/shop?sslpassword=x&sslmode=require")
    'postgresql://anna@db:5432/shop?sslmode=require'
    >>> shown("https://t0ken@host/x"), shown("http://anna:a/b@host/x"), shown("s3://lake/a@b/*.csv")
    ('https://host/x', 'http://***@host/x', 's3://lake/a@b/*.csv')
    >>> shown("jdbc:postgresql://db/shop?user=anna&password=a;b&ssl=true")
    'jdbc:postgresql://db/shop?user=anna&ssl=true'
    """
    if jdbc.is_jdbc(text):
        return jdbc.shown_jdbc_url(text)
    parts = _split(text)
    if parts is None:
        return text
    if parts.fault:
        return parts.scheme + STARS + "@" + without_secret_parameters(text.rpartition("@")[2])
    user = f"{parts.user}@" if parts.user and not _is_token(parts) else ""
    return f"{parts.scheme}{user}{parts.host}{without_secret_parameters(parts.tail)}"


def passwords_of(text: str) -> list[str]:
    """Return all secrets in an address, both as written and decoded.

    Examples
    --------
    >>> passwords_of("http://anna:a%2Fb@host/x?sig=12"), passwords_of("https://t0ken@host/x")
    (['a%2Fb', 'a/b', '12'], ['t0ken'])
    """
    if jdbc.is_jdbc(text):
        return jdbc.jdbc_passwords(text)
    parts = _split(text)
    if parts is None:
        return []
    written = [parts.password] if parts.password else [parts.user] if parts.user and _is_token(parts) else []
    if parts.fault:
        written = _pieces(text)
    options = (parts.tail.partition("?")[2]).partition("#")[0].split("&")
    written += [value for name, _, value in (option.partition("=") for option in options) if is_secret_name(unquote(name))]
    return [form for form in dict.fromkeys(form for word in written for form in (word, unquote(word))) if form]


def hide_in_addresses(text: str) -> str:
    """Return a text whose addresses show no secrets.

    Examples
    --------
    >>> hide_in_addresses("no answer of http://anna:hush@host/x, tried twice")
    'no answer of http://anna@host/x, tried twice'
    """
    return _IN_TEXT.sub(lambda match: shown(match[0]), text)


def _split(text: str) -> _Parts | None:
    """Return the parts of an address; None if the text is not an address.

    By the standard, user and password end before the first ``/``, ``?`` or ``#``. An ``@`` after that, with a ``:`` before it,
    may also end a password that contains such a character unescaped: then the address is ambiguous.
    """
    scheme, mark, rest = text.partition("://")
    if not mark or not re.fullmatch(r"[A-Za-z][\w+.-]*", scheme):
        return None
    end = next((i for i, sign in enumerate(rest) if sign in "/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    login, at, host = authority.rpartition("@")
    user, colon, password = login.partition(":")
    fault = _AMBIGUOUS if "@" in tail and ":" in authority and (colon or not at) else None
    return _Parts(f"{scheme}://", user if at else None, password if colon else None, host, tail, fault)


def _is_token(parts: _Parts) -> bool:
    """Return whether the user is a token: web services accept one; elsewhere a user without a password is just a user."""
    return parts.password is None and parts.scheme in ("http://", "https://")


def _pieces(text: str) -> list[str]:
    """Return everything that may be the password of an ambiguous address."""
    login = text.partition("://")[2].rpartition("@")[0]
    return [part for part in (login, login.partition(":")[2], *re.split(r"[/?#@]", login.partition(":")[2])) if part]


def without_secret_parameters(tail: str) -> str:
    """Return the end of an address without its secret parameters.

    Examples
    --------
    >>> without_secret_parameters("/a.csv?x=1&sig=12#2024")
    '/a.csv?x=1#2024'
    """
    path, mark, options = tail.partition("?")
    options, sharp, fragment = options.partition("#")
    shown_options = [option for option in options.split("&") if not is_secret_name(unquote(option.partition("=")[0]))]
    return path + (mark + "&".join(shown_options) if any(shown_options) else "") + sharp + fragment
