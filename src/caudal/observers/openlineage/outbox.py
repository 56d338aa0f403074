"""Events are rows of the ledger before anything is sent; they are sent in their order, and one that did not arrive waits for the next run."""

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

    from caudal.runtime.workspace import Workspace

KEYS = ("url", "endpoint", "key", "file", "namespace", "timeout_s")
_WAIT_S = 5.0
_AT_ONCE = 5000


class Transport(Protocol):
    """Takes events."""

    def emit(self, event: Any) -> Any:
        """Send one."""


def checked(said: dict[str, object]) -> dict[str, object]:
    """Return the settings of OpenLineage when they can work.

    Raises
    ------
    DeclarationProblem : a setting is not there, or neither address nor file is given
    EnvironmentProblem : the package is not installed
    """
    for name in said:
        if name not in KEYS:
            raise DeclarationProblem(f"[openlineage] sets '{name}', which is not there.", nearest=nearest(name, KEYS))
    if bool(said.get("url")) == bool(said.get("file")):
        raise DeclarationProblem("[openlineage] needs a place to send events to.", fix='Set either url = "http://…" or file = "…".')
    require("openlineage.client", extra="openlineage", for_="Sending OpenLineage events")
    return said


def note_start(ws: Workspace) -> None:
    """Write down that a run has begun, and say so."""
    if not ws.settings.openlineage:
        return
    said = checked(dict(ws.settings.openlineage))
    from caudal.observers.openlineage.events import start_of

    _add(ws, ws.run_id, [start_of(ws, _namespace(said))])
    deliver(ws)


def note(ws: Workspace, run_id: str) -> None:
    """Write down what a run that has ended did, and say so; of a run told of before nothing is said again."""
    if not ws.settings.openlineage:
        return
    said = checked(dict(ws.settings.openlineage))
    from caudal.observers.openlineage.events import events_of

    told = [
        row["event"]["eventType"]
        for row in ws.ledger.find(lineage_events, run_id=run_id)
        if "parent" not in row["event"]["run"]["facets"]
    ]
    if all(one == "START" for one in told):
        _add(ws, run_id, events_of(ws, _namespace(said), run_id))
    deliver(ws)


def deliver(ws: Workspace) -> int:
    """Send what waits, oldest first, until the other side does not answer; return how many were sent."""
    said = dict(ws.settings.openlineage)
    sent = 0
    try:
        with lease(ws.home.path / "leases" / "openlineage.lock", "openlineage", wait_s=_WAIT_S):
            transport = _transport(said)
            for row in ws.ledger.find(lineage_events, state="new", limit=_AT_ONCE):
                if not (said.get("file") and sent == 0 and _last_line(Path(said["file"])) == row["event"]):
                    transport.emit(row["event"])
                ws.ledger.change(lineage_events, {"id": row["id"]}, state="sent", sent_at=ws.clock(), error=None)
                sent += 1
    except LeaseHeld:
        pass  # another run sends them
    except Exception as error:
        first = ws.ledger.find(lineage_events, state="new", limit=1)
        for row in first:
            ws.ledger.change(lineage_events, {"id": row["id"]}, error=f"{type(error).__name__}: {error}"[:500])
    return sent


def waiting(ledger: Ledger) -> int:
    """Return how many events have not been sent yet."""
    return len(ledger.find(lineage_events, state="new"))


def _add(ws: Workspace, run_id: str, events: Sequence[RunEvent]) -> None:
    from openlineage.client.serde import Serde

    rows = [
        {"product": ws.product.name, "run_id": run_id, "at": ws.clock(), "event": json.loads(Serde.to_json(event)), "state": "new"}
        for event in events
    ]
    ws.ledger.add(lineage_events, *rows)


def _transport(said: dict[str, Any]) -> Transport:
    if said.get("file"):
        from openlineage.client.transport.file import FileConfig, FileTransport

        Path(said["file"]).parent.mkdir(parents=True, exist_ok=True)
        transport: Transport = FileTransport(FileConfig(said["file"], append=True))
        return transport
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    more: dict[str, Any] = {"endpoint": said["endpoint"]} if said.get("endpoint") else {}
    if said.get("key") and (secret := os.environ.get(said["key"])):  # the setting names a variable; the secret is stored nowhere
        more["auth"] = {"type": "api_key", "apiKey": secret}
    options = {"url": said["url"], "timeout": float(said.get("timeout_s", _WAIT_S)), "retry": {"total": 0}, **more}
    over_http: Transport = HttpTransport(HttpConfig.from_dict(options))
    return over_http


def _last_line(file: Path) -> object:
    """Return the last event in a file: who died after writing it has not said so in the ledger."""
    try:
        with file.open("rb") as lines:
            lines.seek(max(0, file.stat().st_size - (1 << 20)))
            last = lines.read().splitlines()
        return json.loads(last[-1]) if last else None
    except (OSError, ValueError):
        return None


def _namespace(said: dict[str, object]) -> str:
    return str(said.get("namespace") or "caudal")
