"""Who is told of what: mail and webhooks, and how late a table may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args
from urllib.parse import urlsplit

from caudal.errors import DeclarationProblem, nearest
from caudal.spec.location import Location

Happening = Literal["failure", "recovery", "quarantine", "sla", "slow", "promoted", "refused"]


@dataclass(frozen=True)
class Mail:
    """Mail by the server of the setting ``smtp`` (``CAUDAL_SMTP``), the run's page attached."""

    to: tuple[str, ...]
    sender: str = "caudal@localhost"
    kind: ClassVar[str] = "mail"

    @property
    def target(self) -> str:
        """Where it goes, in words."""
        return ", ".join(self.to)


@dataclass(frozen=True)
class Webhook:
    """A JSON document, posted.

    Parameters
    ----------
    secret : name of an environment variable whose value goes along as ``Authorization: Bearer …``; the value itself is stored nowhere
    """

    url: str
    secret: str | None = None
    kind: ClassVar[str] = "webhook"

    @property
    def target(self) -> str:
        """Where it goes, in words, without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


@dataclass(frozen=True)
class Alert:
    """What somebody is told of.

    Parameters
    ----------
    on : which happenings
    share : float, ``quarantine``: the share of a table's rows set aside in one run above which it is told
    repeat_s : float, the same thing is told again after so long only, with how often it has happened since
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
    """Return mail to some addresses."""
    for one in to:
        if "@" not in one.strip("@") or any(sign in one for sign in "\r\n"):
            raise DeclarationProblem(f"'{one}' is no mail address.", fix="Write it as name@host.")
    if not to:
        raise DeclarationProblem("Mail to nobody.", fix="Name an address: cd.mail('team@example.org').")
    return Mail(tuple(to), sender)


def webhook(url: str, *, secret: str | None = None) -> Webhook:
    """Return a webhook."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise DeclarationProblem(f"'{url}' is no web address.", fix="Begin it with https:// or http://.")
    return Webhook(url, secret)


def alert_of(to: Mail | Webhook, on: Sequence[Happening], share: float, repeat_s: float, where: Location) -> Alert:
    """Return the declaration, checked.

    Raises
    ------
    DeclarationProblem : the place is none, a happening is not known, or a figure makes no sense
    """
    if not isinstance(to, Mail | Webhook):
        raise DeclarationProblem(
            "An alert has no place to go.", fix="Write cd.mail('team@example.org') or cd.webhook('https://…').", where=str(where)
        )
    for one in on:
        if one not in get_args(Happening):
            raise DeclarationProblem(
                f"An alert is asked for on '{one}'.", nearest=nearest(one, get_args(Happening)),
                fix=f"There are: {', '.join(get_args(Happening))}.", where=str(where),
            )  # fmt: skip
    if not 0 <= share <= 1 or repeat_s < 0:
        raise DeclarationProblem("A share lies between 0 and 1, and no time is negative.", where=str(where))
    return Alert(to, tuple(on), share, repeat_s, where)
