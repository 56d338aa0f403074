"""``caudal log``: who did what and when, from all that the ledger keeps of people's and programs' doings."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from caudal.commands.keys import moment
from caudal.declarations.settings import Settings
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import access_events, access_keys, decisions, deletions, erasures, runs
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import LogLine


class _Deed(NamedTuple):
    at: float
    who: str | None
    what: str
    subject: str
    why: str | None


def audit_log(settings: Settings, since: str | None = None, limit: int = 200) -> list[LogLine]:
    """Return what was done, oldest first: runs, decisions on models, keys, visits to servers, deletions and erasures.

    Parameters
    ----------
    since : a duration back from now, or a date of UTC; everything where left out
    limit : most lines; the newest are returned
    """
    start = 0.0 if since is None else moment(since, back=True)
    with contextlib.closing(open_home(settings).ledger()) as ledger:
        deeds = sorted(deed for deed in _deeds(ledger, start) if deed.at >= start)
    return [
        {
            "at": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(deed.at)),
            "who": deed.who,
            "what": deed.what,
            "subject": deed.subject,
            "why": deed.why,
        }
        for deed in deeds[-limit:]
    ]


def _deeds(ledger: Ledger, start: float) -> Iterator[_Deed]:
    for run in ledger.rows(select(runs).where(runs.c.started_at >= start), runs):
        yield _Deed(run["started_at"], run["who"], f"caudal {run['command']}: {run['state']}", run["product"], None)
    for decision in ledger.rows(select(decisions).where(decisions.c.at >= start), decisions):
        subject = f"{decision['product']}/{decision['model']} version {decision['version']}"
        yield _Deed(decision["at"], decision["who"], decision["decision"], subject, decision["reason"])
    for deletion in ledger.rows(select(deletions).where(deletions.c.at >= start), deletions):
        subject = deletion["product"] if deletion["table"] is None else f"{deletion['product']}/{deletion['table']}"
        what = f"deleted {deletion['files']:,} file{'' if deletion['files'] == 1 else 's'} ({deletion['kind']})"
        yield _Deed(deletion["at"], deletion["who"], what, subject, deletion["why"])
    for erasure in ledger.rows(select(erasures).where(erasures.c.started_at >= start), erasures):
        what = f"erased a subject's rows by '{erasure['column']}': {erasure['state']}"
        yield _Deed(erasure["started_at"], erasure["who"], what, erasure["product"], erasure["erasure"])
    for key in ledger.find(access_keys):
        yield _Deed(key["created_at"], key["created_by"], f"added a key of the role {key['role']}", key["name"], None)
        if key["revoked_at"] is not None:
            yield _Deed(key["revoked_at"], key["revoked_by"], "revoked a key", key["name"], key["reason"])
    for event in ledger.rows(select(access_events).where(access_events.c.at >= start), access_events):
        what = f"{event['event']} at {event['server']} on {event['host']}"
        yield _Deed(event["at"], event["key_name"], what, event["address"], None)
