"""The beginning and the end of a run, in the ledger and for its observers; and what runs that died have left."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import caudal
from caudal.errors import CaudalError, Stopped
from caudal.graph.registered import is_streamed, tables_of
from caudal.ledger.records import runs
from caudal.ledger.rows import RunRow
from caudal.report.document import run_document
from caudal.report.run_document import RunDocument
from caudal.runtime.manifest import folder_digest
from caudal.runtime.workspace import Workspace
from caudal.storage.place import Remote
from caudal.storage.sweep import sweep


def new_run_id() -> str:
    """Return a run's name. It begins with the clock's time for people; runs are ordered by the ledger's ``seq``."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


def begin(ws: Workspace, command: str) -> None:
    """Tell the ledger that a run has begun."""
    ws.ledger.add(
        runs,
        {
            "run_id": ws.run_id, "product": ws.product.name, "command": command, "state": "running", "started_at": ws.clock(),
            "who": who(), "host": socket.gethostname(), "pid": os.getpid(), "caudal_version": caudal.__version__,
            "code": folder_digest(Path(ws.product.where.file).parent),
        },
    )  # fmt: skip
    for observer in ws.observers:
        observer.run_began(ws)


def end(ws: Workspace, error: CaudalError | None) -> RunDocument:
    """Write to the ledger how the run ended, tell the observers, and return the run's document."""
    ws.ledger.change(
        runs,
        {"run_id": ws.run_id},
        state="stopped" if isinstance(error, Stopped) else "failed" if error else "succeeded",
        finished_at=ws.clock(),
        error=error.as_dict() if error else None,
    )
    document = run_document(ws.ledger, ws.run_id)
    document["page"] = str(ws.home.page(ws.product.name, ws.run_id))
    ws.ledger.change(runs, {"run_id": ws.run_id}, summary=document)
    tell(ws, document)
    return document


def recover(ws: Workspace) -> None:
    """Clear up behind runs that died: their rows in the ledger, their files that no version names."""
    swept = isinstance(ws.home.lake, Remote) and _ended_well(ws)
    abandon(ws, [row for row in ws.ledger.find(runs, product=ws.product.name, state="running") if row["command"] != "stream"])
    shutil.rmtree(ws.home.scratch(ws.product.name), ignore_errors=True)
    for name in tables_of(ws.product):
        if swept or is_streamed(ws.product, name):  # swept by the stream itself, which may be at work
            continue
        sweep(ws.folder(name))
        sweep(ws.home.quarantine(ws.product.name, name))
    for raw in ws.home.path.glob(f"raw/{ws.product.name}/*/.landing-*"):
        raw.unlink(missing_ok=True)


def _ended_well(ws: Workspace) -> bool:
    """Tell whether the last run of the product left nothing behind: to look for it in a remote lake takes requests for each table."""
    last = [row for row in ws.ledger.find(runs, product=ws.product.name, newest=True, limit=20) if row["command"] != "stream"]
    return bool(last) and last[0]["state"] == "succeeded"


def abandon(ws: Workspace, rows: Sequence[RunRow]) -> None:
    """Tell the ledger that those who wrote these rows are gone: we hold their lease."""
    for row in rows:
        ws.ledger.change(runs, {"run_id": row["run_id"]}, state="abandoned", finished_at=ws.clock())
        tell(ws, run_document(ws.ledger, row["run_id"]))


def tell(ws: Workspace, document: RunDocument) -> None:
    """Tell every observer how a run ended."""
    for observer in ws.observers:
        observer.run_ended(ws, document)


def who() -> str:
    """Return the name of the user at the keyboard."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user entry
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
