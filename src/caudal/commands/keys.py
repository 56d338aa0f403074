"""``caudal key``: the keys of the servers, in the ledger."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from caudal.declarations.duration import seconds_or_none, text as duration_text
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem
from caudal.ledger.access import add_key, is_valid, keys, revoke_key
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import AccessKeyRow, KeyRole
from caudal.runtime.lifecycle import user_name
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import AccessKeyDocument, NewKeyDocument


def add_access_key(settings: Settings, name: str, role: KeyRole, expires: str | None, rate: str | None) -> NewKeyDocument:
    """Add a key, and return it with the key itself, which is shown this once.

    Parameters
    ----------
    expires : a duration from now, or a date of UTC at whose beginning the key ends
    rate : rows by period, such as ``600/minute``

    Raises
    ------
    DeclarationProblem : the expiry or the rate cannot be read, or a valid key has this name
    """
    expires_at = None if expires is None else moment(expires, back=False)
    if expires_at is not None and expires_at <= time.time():
        raise DeclarationProblem(f"The key would have ended already: {expires}.", fix="Give a later date, or a duration from now.")
    with _ledger(settings) as ledger:
        row, key = add_key(ledger, name, role, who=user_name(), expires_at=expires_at, rate=None if rate is None else _rate(rate))
        until = "until it is revoked" if expires_at is None else f"until {_shown(expires_at)} UTC"
        return {**_document(row), "key": key, "until": until}


def list_access_keys(settings: Settings, *, ended: bool = False) -> list[AccessKeyDocument]:
    """Return the valid keys; with ``ended`` also those that are revoked or have expired."""
    with _ledger(settings) as ledger:
        return [_document(row) for row in keys(ledger) if ended or is_valid(row, time.time())]


def revoke_access_key(settings: Settings, name: str, reason: str) -> AccessKeyDocument:
    """End a key."""
    with _ledger(settings) as ledger:
        return _document(revoke_key(ledger, name, who=user_name(), reason=reason))


def moment(text: str, *, back: bool) -> float:
    """Return a moment in seconds since 1970: a date of UTC, or so long from now, or before now where ``back`` is True.

    Raises
    ------
    DeclarationProblem : the text is neither a date nor a duration

    Examples
    --------
    >>> moment("2027-01-31", back=False)
    1801353600.0
    """
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        try:
            return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()
        except ValueError:
            raise DeclarationProblem(f"'{text}' is not a date.", fix="Write it as 2027-01-31.") from None
    length = seconds_or_none(text)
    if length is None:
        raise DeclarationProblem(
            f"'{text}' is neither a date nor a duration.",
            fix="Write a date of UTC such as 2027-01-31, or a duration such as '90 days'.",
        )
    return time.time() + (-length if back else length)


def _rate(text: str) -> tuple[int, float]:
    count, _, period = text.partition("/")
    period = period.strip()
    length = seconds_or_none(period if period[:1].isdecimal() else f"1 {period}")
    if not count.strip().isdecimal() or int(count) < 1 or length is None:
        raise DeclarationProblem(
            f"'{text}' is not a rate.", fix="Write rows by period, such as '600/minute', '20000/hour' or '100/10 seconds'."
        )
    if length < 1 or int(count) >= 2**31:
        raise DeclarationProblem(f"The rate '{text}' cannot be kept.", fix="Take a period of one second or more, and fewer rows.")
    return int(count), length


def _document(row: AccessKeyRow) -> AccessKeyDocument:
    now = time.time()
    return {
        "name": row["name"],
        "start": row["start"],
        "role": row["role"],
        "rate": None
        if row["rate_count"] is None or row["rate_s"] is None
        else f"{row['rate_count']}/{duration_text(row['rate_s']).removeprefix('1 ')}",
        "created": _shown(row["created_at"]),
        "created_by": row["created_by"],
        "expires": None if row["expires_at"] is None else _shown(row["expires_at"]),
        "state": "valid" if is_valid(row, now) else "revoked" if row["revoked_at"] is not None else "expired",
        "revoked": None if row["revoked_at"] is None else _shown(row["revoked_at"]),
        "revoked_by": row["revoked_by"],
        "reason": row["reason"],
    }


def _shown(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))


@contextlib.contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    with contextlib.closing(open_home(settings).ledger()) as ledger:
        yield ledger
