"""Values without secrets: by the name of a setting, in addresses and options within texts, and by the shape of well-known tokens."""

from __future__ import annotations

import re
from typing import Any, Mapping

from caudal.secret.address import hide_in_addresses, passwords_of
from caudal.secret.names import is_secret_name
from caudal.secret.value import STARS, redact, register_secret

# -Dx.password=…, --token …, "password": "…", PASSWORD=…
_OPTION = re.compile(r"""(?P<name>[A-Za-z][\w.-]*)(?P<between>["']?\s*[=:]\s*["']?|\s+(?=\S))(?P<value>[^\s"',;&]+)""")
_TOKENS = re.compile(
    r"\b(?:A[KS]IA[0-9A-Z]{16}|dapi[0-9a-f]{32}(?:-\d)?|gh[pousr]_[A-Za-z0-9]{36,}|glpat-[\w-]{20,}|xox[abpr]-[\w-]{10,}|AIza[\w-]{35}"
    r"|ya29\.[\w-]{20,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|hf_[A-Za-z0-9]{30,}|(?<=AccountKey=)[A-Za-z0-9+/=]{20,})"
)
_FOLDERS = {"PWD", "OLDPWD"}  # the shell's "print working directory"
_ADDRESS = re.compile(r"(?:jdbc:[^\s'\"<>]+|[A-Za-z][\w+.-]*://[^\s'\"<>]+)")


class MaskedText(str):
    """A text that was masked. It is not masked again: ``http://anna@host`` was an address with a password, and would now look like one with a token."""

    __slots__ = ()


def mask_setting(name: str, value: object) -> object:
    """Return the value of a setting, variable or option as it may be shown; a secret one is hidden wherever else it occurs from now on.

    Examples
    --------
    >>> mask_setting("spark.hadoop.fs.s3a.secret.key", "k9Zx7Qw1"), mask_setting("spark.master", "local[2]")
    ('***', 'local[2]')
    """
    if not isinstance(value, str) or isinstance(value, MaskedText):
        return value
    if is_secret_name(name) and value:
        register_secret(value)
        return MaskedText(STARS)
    return mask_text(value)


def mask_text(text: str) -> str:
    """Return a text without the secrets that addresses, options and tokens in it show.

    Examples
    --------
    >>> mask_text("-Djavax.jdo.option.ConnectionPassword=k9Zx7Qw1 -Xmx1g"), mask_text("postgresql://anna:k9Zx7Qw2@db/shop")
    ('-Djavax.jdo.option.ConnectionPassword=*** -Xmx1g', 'postgresql://anna@db/shop')
    >>> mask_text("key AKIAABCDEFGHIJKLMNOP, sent with --token k9Zx7Qw3"), mask_text("the token of Spark")
    ('key ***, sent with --token ***', 'the token of Spark')
    """
    if isinstance(text, MaskedText):
        return text
    for address in _ADDRESS.findall(text):
        for password in passwords_of(address):
            register_secret(password)
    return MaskedText(_TOKENS.sub(STARS, _without_option_values(hide_in_addresses(redact(text)))))


def _without_option_values(text: str) -> str:
    """Return a text whose options with secret names have no values; where only white space stands between, the name must be an option's (``--token x``)."""
    parts, kept, place = [], 0, 0
    while (match := _OPTION.search(text, place)) is not None:
        is_option = match["between"].strip() or text[: match.start()].endswith("-")
        place = match.end("name")
        if is_option and is_secret_name(match["name"]) and match["value"] != STARS:
            register_secret(match["value"])
            parts += [text[kept : match.start("value")], STARS]
            kept = place = match.end()
    return "".join(parts) + text[kept:]


def masked(value: Any, name: str = "") -> Any:
    """Return a value of any shape without secrets; ``name`` is that of the setting or column that it belongs to."""
    if isinstance(value, str):
        return mask_setting(name, value)
    if isinstance(value, Mapping):
        return {key: masked(inside, str(key)) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(inside, name) for inside in value]
    return value


def hide_variables(environment: Mapping[str, str]) -> None:
    """Let the values of all variables with secret names be hidden wherever they occur."""
    for name, value in environment.items():
        if name not in _FOLDERS:
            mask_setting(name, value)
