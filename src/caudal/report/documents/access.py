"""Documents of ``caudal key`` and ``caudal log``. Times are of UTC."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.ledger.rows import KeyRole


class AccessKeyDocument(TypedDict):
    """A line of ``caudal key list``."""

    name: str
    start: str
    role: KeyRole
    rate: str | None
    created: str
    created_by: str
    expires: str | None
    state: Literal["valid", "revoked", "expired"]
    revoked: str | None
    revoked_by: str | None
    reason: str | None


class NewKeyDocument(AccessKeyDocument):
    """What ``caudal key add`` prints: the only place where a key stands."""

    key: str
    until: str


class LogLine(TypedDict):
    """A line of ``caudal log``."""

    at: str
    who: str | None
    what: str
    subject: str
    why: str | None
