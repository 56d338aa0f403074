"""The beginning and the end of a run, as the ledger, its page and those who want to be told of it know them; and what runs that died have left."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import caudal
from caudal.errors import CaudalError, Stopped
from caudal.graph.build import build
from caudal.graph.streamed import is_streamed
from caudal.lake import delta
from caudal.lake.place import Remote
from caudal.lake.records import runs
from caudal.run import openlineage
from caudal.run.alerts import deliver, note
from caudal.run.alerts.happen import in_run, late
from caudal.run.governance.declared import remember as remember_declaration
from caudal.run.manifest import folder_digest
from caudal.run.workspace import Workspace


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
    openlineage.note_start(ws)


def end(ws: Workspace, error: CaudalError | None) -> dict[str, Any]:
    """Tell the ledger how the run ended, write its page, and return its document."""
    from caudal.report.document import run_document
    from caudal.report.page import write_run_page

    ws.ledger.change(
        runs,
        {"run_id": ws.run_id},
        state="stopped" if isinstance(error, Stopped) else "failed" if error else "succeeded",
        finished_at=ws.clock(),
        error=error.as_dict() if error else None,
    )
    page = ws.home.page(ws.product.name, ws.run_id)
    page.parent.mkdir(parents=True, exist_ok=True)
    document = {**run_document(ws.ledger, ws.run_id), "page": str(page)}
    ws.ledger.change(runs, {"run_id": ws.run_id}, summary=document)
    write_run_page(ws.ledger, ws.run_id, build(ws.product), page)
    remember_declaration(ws.product, ws.ledger, ws.run_id, ws.clock())
    tell(ws, document)
    openlineage.note(ws, ws.run_id)
    return document


def recover(ws: Workspace) -> None:
    """Clear up behind runs that died: their rows in the ledger, their files that no version names."""
    swept = isinstance(ws.home.lake, Remote) and _ended_well(ws)
    abandon(ws, [row for row in ws.ledger.find(runs, product=ws.product.name, state="running") if row["command"] != "stream"])
    shutil.rmtree(ws.home.scratch(ws.product.name), ignore_errors=True)
    for name in (*ws.product.nodes, *ws.product.predictions):
        if swept or is_streamed(ws.product, name):  # swept by the stream itself, which may be at work
            continue
        delta.sweep(ws.folder(name))
        delta.sweep(ws.home.quarantine(ws.product.name, name))
    for raw in ws.home.path.glob(f"raw/{ws.product.name}/*/.landing-*"):
        raw.unlink(missing_ok=True)


def _ended_well(ws: Workspace) -> bool:
    """Tell whether the last run of the product left nothing behind: to look for it in a remote lake takes requests for each table."""
    last = [row for row in ws.ledger.find(runs, product=ws.product.name, newest=True, limit=20) if row["command"] != "stream"]
    return bool(last) and last[0]["state"] == "succeeded"


def abandon(ws: Workspace, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell the ledger that those who wrote these rows are gone: we hold their lease."""
    from caudal.report.document import run_document

    for row in rows:
        ws.ledger.change(runs, {"run_id": row["run_id"]}, state="abandoned", finished_at=ws.clock())
        tell(ws, run_document(ws.ledger, row["run_id"]))
        openlineage.note(ws, row["run_id"])


def tell(ws: Workspace, document: Mapping[str, Any]) -> None:
    """Tell who wants to be told of what happened; a place that does not answer is tried again by later runs."""
    if not ws.product.alerts:
        return
    happened = [*in_run(ws.ledger, document), *late(ws.product, ws.home, ws.clock())]
    note(ws.ledger, ws.product, happened, ws.run_id, ws.clock(), document.get("page"))
    deliver(ws.ledger, ws.settings, [ws.product], clock=ws.clock)


def who() -> str:
    """Return the name of the user at the keyboard."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user entry
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
