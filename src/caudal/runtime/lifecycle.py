"""The beginning and the end of a run in the ledger and for its observers, and the clean-up after runs that died."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import caudal
from caudal.errors import CaudalError, Stopped
from caudal.graph.registered import is_streamed, tables_of
from caudal.ledger.records import runs
from caudal.ledger.rows import RunRow
from caudal.report.document import run_document
from caudal.report.run_document import RunDocument
from caudal.runtime.manifest import folder_digest
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.storage.place import Remote
from caudal.storage.sweep import sweep


def new_run_id() -> str:
    """Return the id of a new run. It begins with the time, for people; runs are ordered by the ledger's ``seq``."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + secrets.token_hex(3)


def begin(ws: Workspace, command: str) -> None:
    """Record the beginning of a run in the ledger and call the observers."""
    ws.record.ledger.add(
        runs,
        {
            "run_id": ws.record.run_id, "product": ws.product.name, "command": command, "state": "running", "started_at": ws.record.clock(),
            "who": user_name(), "host": socket.gethostname(), "pid": os.getpid(), "caudal_version": caudal.__version__,
            "code": folder_digest(Path(ws.product.where.file).parent),
        },
    )  # fmt: skip
    for observer in ws.reporting.observers:
        observer.run_began(ws.observed)


@contextlib.contextmanager
def observed_step(ws: Workspace, step: str) -> Iterator[None]:
    """Call the observers at the begin and the end of a step, which is the block."""
    for observer in ws.reporting.observers:
        observer.step_began(ws.observed, step)
    try:
        yield
    finally:
        for observer in ws.reporting.observers:
            observer.step_ended(ws.observed, step)


def end(ws: Workspace, error: CaudalError | None) -> RunDocument:
    """Record the end of a run in the ledger, call the observers, and return the run's document."""
    ws.record.ledger.change(
        runs,
        {"run_id": ws.record.run_id},
        state="stopped" if isinstance(error, Stopped) else "failed" if error else "succeeded",
        finished_at=ws.record.clock(),
        error=error.as_dict() if error else None,
    )
    document = run_document(ws.record.ledger, ws.record.run_id)
    document["page"] = str(ws.tables.home.page(ws.product.name, ws.record.run_id))
    ws.record.ledger.change(runs, {"run_id": ws.record.run_id}, summary=document)
    notify_observers(ws, document)
    return document


def recover(ws: Workspace) -> None:
    """Clean up after runs that died: end their rows in the ledger, remove their files that no version names."""
    swept = isinstance(ws.tables.home.lake, Remote) and _ended_well(ws.record)
    abandon(
        ws, [row for row in ws.record.ledger.find(runs, product=ws.product.name, state="running") if row["command"] != "stream"]
    )
    shutil.rmtree(ws.tables.home.scratch(ws.product.name), ignore_errors=True)
    for name in tables_of(ws.product):
        if swept or is_streamed(ws.product, name):  # swept by the stream itself, which may be at work
            continue
        sweep(ws.tables.folder(name))
        sweep(ws.tables.quarantine(name))
    for raw in ws.tables.home.path.glob(f"raw/{ws.product.name}/*/.landing-*"):
        raw.unlink(missing_ok=True)


def _ended_well(record: RunRecord) -> bool:
    """Return whether the last run succeeded and so left no files: searching a remote lake for them takes requests for each table."""
    last = [
        row for row in record.ledger.find(runs, product=record.product_name, newest=True, limit=20) if row["command"] != "stream"
    ]
    return bool(last) and last[0]["state"] == "succeeded"


def abandon(ws: Workspace, rows: Sequence[RunRow]) -> None:
    """Record that the runs of these rows have died: this run holds their lease."""
    for row in rows:
        ws.record.ledger.change(runs, {"run_id": row["run_id"]}, state="abandoned", finished_at=ws.record.clock())
        notify_observers(ws, run_document(ws.record.ledger, row["run_id"]))


def notify_observers(ws: Workspace, document: RunDocument) -> None:
    """Call every observer with the document of a run that ended."""
    for observer in ws.reporting.observers:
        observer.run_ended(ws.observed, document)


def user_name() -> str:
    """Return the login name of the user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user entry
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
