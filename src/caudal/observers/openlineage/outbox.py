"""The outbox of OpenLineage events: they are stored in the ledger, then sent in order; the next run sends what failed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from caudal.errors import DeclarationProblem, LeaseHeld, nearest
from caudal.extras import require
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import lineage_events
from caudal.storage.lease import lease

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from caudal.runtime.observer import ObservedRun

KEYS = ("url", "endpoint", "key", "file", "namespace", "timeout_s")
_WAIT_S = 5.0
_AT_ONCE = 5000


class Transport(Protocol):
    """Sends events."""

    def emit(self, event: Any) -> Any:
        """Send an event."""


def check_options(options: dict[str, object]) -> dict[str, object]:
    """Return the options of OpenLineage after checking them.

    Raises
    ------
    DeclarationProblem : an option is unknown, or not exactly one of ``url`` and ``file`` is given
    EnvironmentProblem : the package is not installed
    """
    for name in options:
        if name not in KEYS:
            raise DeclarationProblem(f"[openlineage] sets '{name}', which is not an option.", nearest=nearest(name, KEYS))
    if bool(options.get("url")) == bool(options.get("file")):
        raise DeclarationProblem(
            "[openlineage] has no target for events, or two.", fix='Set either url = "http://…" or file = "…".'
        )
    require("openlineage.client", extra="openlineage", for_="Sending OpenLineage events")
    return options


def note_start(run: ObservedRun) -> None:
    """Queue the START event of a run, and deliver it."""
    if not run.settings.openlineage:
        return
    options = check_options(dict(run.settings.openlineage))
    from caudal.observers.openlineage.events import start_of

    _add(run, run.record.run_id, [start_of(run, _namespace(options))])
    deliver_events(run)


def queue_events(run: ObservedRun, run_id: str) -> None:
    """Queue the events of a run that has ended, once, and deliver them."""
    if not run.settings.openlineage:
        return
    options = check_options(dict(run.settings.openlineage))
    from caudal.observers.openlineage.events import events_of

    event_types = [
        row["event"]["eventType"]
        for row in run.record.ledger.find(lineage_events, run_id=run_id)
        if "parent" not in row["event"]["run"]["facets"]
    ]
    if all(event_type == "START" for event_type in event_types):
        _add(run, run_id, events_of(run, _namespace(options), run_id))
    deliver_events(run)


def deliver_events(run: ObservedRun) -> int:
    """Send queued events, oldest first, until the server does not answer; return the number of sent ones."""
    options = dict(run.settings.openlineage)
    sent = 0
    try:
        with lease(run.tables.home.path / "leases" / "openlineage.lock", "openlineage", wait_s=_WAIT_S):
            transport = _transport(options)
            for row in run.record.ledger.find(lineage_events, state="new", limit=_AT_ONCE):
                if not (options.get("file") and sent == 0 and _last_line(Path(options["file"])) == row["event"]):
                    transport.emit(row["event"])
                run.record.ledger.change(lineage_events, {"id": row["id"]}, state="sent", sent_at=run.record.clock(), error=None)
                sent += 1
    except LeaseHeld:
        pass  # another run sends them
    except Exception as error:
        first = run.record.ledger.find(lineage_events, state="new", limit=1)
        for row in first:
            run.record.ledger.change(lineage_events, {"id": row["id"]}, error=f"{type(error).__name__}: {error}"[:500])
    return sent


def waiting(ledger: Ledger) -> int:
    """Return the number of events that have not been sent yet."""
    return len(ledger.find(lineage_events, state="new"))


def _add(run: ObservedRun, run_id: str, events: Sequence[RunEvent]) -> None:
    from openlineage.client.serde import Serde

    rows = [
        {
            "product": run.product.name,
            "run_id": run_id,
            "at": run.record.clock(),
            "event": json.loads(Serde.to_json(event)),
            "state": "new",
        }
        for event in events
    ]
    run.record.ledger.add(lineage_events, *rows)


def _transport(settings: dict[str, Any]) -> Transport:
    if settings.get("file"):
        from openlineage.client.transport.file import FileConfig, FileTransport

        Path(settings["file"]).parent.mkdir(parents=True, exist_ok=True)
        transport: Transport = FileTransport(FileConfig(settings["file"], append=True))
        return transport
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    more: dict[str, Any] = {"endpoint": settings["endpoint"]} if settings.get("endpoint") else {}
    if settings.get("key") and (
        secret := os.environ.get(settings["key"])
    ):  # the setting names a variable; the secret is stored nowhere
        more["auth"] = {"type": "api_key", "apiKey": secret}
    options = {"url": settings["url"], "timeout": float(settings.get("timeout_s", _WAIT_S)), "retry": {"total": 0}, **more}
    over_http: Transport = HttpTransport(HttpConfig.from_dict(options))
    return over_http


def _last_line(file: Path) -> object:
    """Return the last event in a file, which a process may have written before it died without marking it as sent."""
    try:
        with file.open("rb") as lines:
            lines.seek(max(0, file.stat().st_size - (1 << 20)))
            last = lines.read().splitlines()
        return json.loads(last[-1]) if last else None
    except (OSError, ValueError):
        return None


def _namespace(options: dict[str, object]) -> str:
    return str(options.get("namespace") or "caudal")
