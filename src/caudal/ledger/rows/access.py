"""Rows of keys to the servers, and of what was done with them."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

KeyRole = Literal["predict", "observe", "admin"]
AccessEvent = Literal["signed in", "signed out", "held back"]


class AccessKeyRow(TypedDict):
    """A key, by its hash."""

    id: int
    name: str
    sha256: str
    start: str
    role: KeyRole
    rate_count: int | None
    rate_s: float | None
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    revoked_by: str | None
    reason: str | None


class AccessEventRow(TypedDict):
    """What a visitor of a server did."""

    id: int
    at: float
    event: AccessEvent
    key_name: str | None
    address: str
    server: Literal["serve", "console"]
    host: str
