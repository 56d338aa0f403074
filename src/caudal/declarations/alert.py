"""Alerts by mail and webhook, and the freshness that a table promises (SLA)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args
from urllib.parse import urlsplit

from caudal.declarations.address import address
from caudal.declarations.location import Location
from caudal.errors import DeclarationProblem, nearest
from caudal.secret import Secret, register_secret

_TOKEN_LENGTH = 10
Happening = Literal["failure", "recovery", "quarantine", "sla", "slow", "promoted", "refused", "drift"]


@dataclass(frozen=True)
class Mail:
    """Mail by the server of the setting ``smtp`` (``CAUDAL_SMTP``), the run's page attached."""

    to: tuple[str, ...]
    sender: str = "caudal@localhost"
    kind: ClassVar[str] = "mail"

    @property
    def target(self) -> str:
        """The recipients, as text."""
        return ", ".join(self.to)


@dataclass(frozen=True)
class Webhook:
    """A JSON document, posted to a URL. Chat services keep the secret in the path, so that nothing but the host is shown or stored.

    Parameters
    ----------
    secret : name of an environment variable whose value goes along as ``Authorization: Bearer …``; the value itself is stored nowhere
    """

    url: Secret
    secret: str | None = None
    kind: ClassVar[str] = "webhook"

    @property
    def digest(self) -> str:
        """The hash that identifies it in the ledger."""
        return webhook_digest(self.url.reveal())

    @property
    def target(self) -> str:
        """The part of its URL that contains no secret."""
        return webhook_target(self.url.reveal())


def webhook_digest(url: str) -> str:
    """Return a hash that identifies a webhook without revealing its URL."""
    return hashlib.sha256(f"webhook {url}".encode()).hexdigest()


def webhook_target(url: str) -> str:
    """Return the part of a webhook that may be shown.

    Examples
    --------
    >>> webhook_target("https://hooks.example.org:8443/services/T0/B0/hush")
    'https://hooks.example.org:8443'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True)
class Alert:
    """Which events are reported to a recipient.

    Parameters
    ----------
    on : the kinds of events
    share : float, ``quarantine``: alert when a run sets aside more than this share of a table's rows
    repeat_s : float, the least time between two alerts about the same thing; the later one says how often it happened since
    """

    to: Mail | Webhook
    on: tuple[Happening, ...]
    share: float
    repeat_s: float
    where: Location


@dataclass(frozen=True)
class Sla:
    """A table whose newest version may be no older than ``within_s``."""

    table: str
    within_s: float
    where: Location = field(compare=False)


def mail(*to: str, sender: str = "caudal@localhost") -> Mail:
    """Return mail to addresses."""
    for recipient in to:
        if "@" not in recipient.strip("@") or any(sign in recipient for sign in "\r\n"):
            raise DeclarationProblem(f"'{recipient}' is not a mail address.", fix="Write it as name@host.")
    if not to:
        raise DeclarationProblem("cd.mail has no address.", fix="Name an address: cd.mail('team@example.org').")
    return Mail(tuple(to), sender)


def webhook(url: str, *, secret: str | None = None) -> Webhook:
    """Return a webhook."""
    hidden = Secret(url)  # from here on no message repeats it
    parts = urlsplit(address(url).bare)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DeclarationProblem("The argument of cd.webhook is not a web address.", fix="Begin it with https:// or http://.")
    values = [option.partition("=")[2] for option in parts.query.split("&")]
    for part in (url.partition(parts.netloc)[2].lstrip("/"), *parts.path.split("/"), *values):
        if len(part) >= _TOKEN_LENGTH:  # shorter ones ("services", "hook") are words
            register_secret(part)
    return Webhook(hidden, secret)


def alert_of(to: Mail | Webhook, on: Sequence[Happening], share: float, repeat_s: float, where: Location) -> Alert:
    """Return the checked declaration of an alert.

    Raises
    ------
    DeclarationProblem : the recipient, a kind of event, or a number is invalid
    """
    if not isinstance(to, Mail | Webhook):
        raise DeclarationProblem(
            "An alert has no recipient.", fix="Write cd.mail('team@example.org') or cd.webhook('https://…').", where=str(where)
        )
    for column in on:
        if column not in get_args(Happening):
            raise DeclarationProblem(
                f"There is no alert on '{column}'.", nearest=nearest(column, get_args(Happening)),
                fix=f"There are: {', '.join(get_args(Happening))}.", where=str(where),
            )  # fmt: skip
    if not 0 <= share <= 1 or repeat_s < 0:
        raise DeclarationProblem("A share lies between 0 and 1, and no time is negative.", where=str(where))
    return Alert(to, tuple(on), share, repeat_s, where)
