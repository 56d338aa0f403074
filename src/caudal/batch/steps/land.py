"""``land:<source>``: what has arrived is copied into the raw store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from caudal.batch.step import StepResult
from caudal.declarations.connection import Connection, Files, Http, Simulated
from caudal.declarations.images import Images
from caudal.declarations.node import Source
from caudal.graph.fingerprint import code_of
from caudal.ledger.records import landed
from caudal.ledger.rows import LandedRow
from caudal.runtime.storage import missing_raw
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest import Engine, KnownFile, arrivals
from caudal.stages.ingest.origin import base_of, former_name
from caudal.tables.landing import LandedFile, land, origin_of, rebase_paths, store_path

_TOLD = 3  # files that hold the same bytes as another
SHOWN_LINKS = 5


def work(ws: Workspace, source: Source) -> StepResult:
    """Land every arrival that is whole; one that is still being written waits for the next run."""
    base = None
    if isinstance(source.connection, Files) and (base := base_of(source.connection.pattern, ws.settings.data)) is not None:
        rebase_paths(ws.ledger, ws.product.name, source.name, base, former_name(source.connection.pattern, base))
    rows = ws.ledger.find(landed, product=ws.product.name, source=source.name)
    changed = getattr(source.connection, "changed", "replace")
    raw = ws.home.raw(ws.product.name, source.name)
    seen = {
        row["path"]: KnownFile(
            row["etag"], row["modified_ns"], row["bytes"], row["sha256"], store_path(raw, row["sha256"], row["path"])
        )
        for row in rows
        if row["kind"] != "correction" and not _asked_again(row, changed)
    }
    if isinstance(source.connection, Files | Http) and changed != "set":
        # What is not in the raw store any more is taken anew from its origin, where it is still there.
        seen = {path: one for path, one in seen.items() if not isinstance(one.stored, Path) or one.stored.exists()}
    scratch = ws.home.fetched(ws.product.name, source.name)
    scratch.mkdir(parents=True, exist_ok=True)
    found = arrivals(
        patient(_with_code(source), ws.settings.settle or 0.0), data=ws.settings.data, scratch=scratch, seen=seen, clock=ws.clock,
        engine=Engine(lambda: ws.spark, ws.home.staged(ws.product.name, source.name)),
    )  # fmt: skip
    whole = [one for one in found if one.settled]
    ws.arrived(ws, source, whole)
    files = land(
        whole, ws.home, ws.ledger, product=ws.product.name, source=source.name, run_id=ws.run_id, changed=changed, base=base
    )
    shutil.rmtree(scratch, ignore_errors=True)
    if lost := missing_raw(ws.home, ws.ledger, ws.product.name, source.name):
        ws.progress.noted(
            f"{len(lost)} raw file{'s'[: len(lost) != 1]} of '{source.name}' {'is' if len(lost) == 1 else 'are'} gone, such as that of "
            f"'{lost[0]}': its rows are in the table, and cannot be made again. caudal verify tells more."
        )
    if notes := _same_bytes(ws, source, files):
        ws.progress.noted(" ".join(notes))
    said: list[dict[str, Any]] = [
        {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "state": "landed" if file.new else "known"}
        for file in files
    ]
    said += [
        {"path": one.path, "bytes": one.bytes, "sha256": None, "state": "waiting"}
        for one in found
        if not one.settled and one.link is None
    ]
    links = [one for one in found if one.link is not None]
    for one in links[:SHOWN_LINKS]:
        ws.progress.noted(
            f"{source.name}: '{one.path}' is a link to '{one.link}' and is not followed; follow_links=True follows it."
        )
    if len(links) > SHOWN_LINKS:
        ws.progress.noted(f"{source.name}: {len(links) - SHOWN_LINKS} more links are not followed.")
    said += [{"path": link.path, "bytes": 0, "sha256": None, "state": "link"} for link in links]
    waiting = [one["path"] for one in said if one["state"] == "waiting"]
    if not any(file.new for file in files):
        why = "no new file" + (f"; still being written: {', '.join(map(str, waiting))}" if waiting else "")
        return StepResult(state="skipped", detail={"why": why, "files": said})
    return StepResult(detail={"files": said, "landed": sum(file.new for file in files), "waiting": waiting, "notes": notes})


def _same_bytes(ws: Workspace, source: Source, files: Sequence[LandedFile]) -> list[str]:
    """Return in sentences which of the files that have just landed hold the bytes of another: such files count once."""
    new = {file.path for file in files if file.new}
    newest = (
        {row["path"]: row["sha256"] for row in ws.ledger.find(landed, product=ws.product.name, source=source.name)} if new else {}
    )
    paths: dict[str, list[str]] = {}
    for path, sha256 in newest.items():
        paths.setdefault(sha256, []).append(path)
    same = [together for together in paths.values() if len(together) > 1 and new & set(together)]
    told = [f"'{together[-1]}' holds the same bytes as '{together[0]}': they count once." for together in same[:_TOLD]]
    return [*told, f"So it is with {len(same) - _TOLD} more contents of '{source.name}'."] if len(same) > _TOLD else told


def _asked_again(row: LandedRow, changed: str) -> bool:
    """Return whether a file that was refused is asked for again: it counts only while it is at its origin (`lake.landing.current`)."""
    return row["kind"] == "refused" and changed != "set" and not origin_of(row).exists()


def _with_code(source: Source) -> Connection:
    """Return a source's connection; one that writes its files knows what they follow from."""
    return replace(source.connection, code=code_of(source)) if isinstance(source.connection, Simulated) else source.connection


def patient(connection: Connection, settle_s: float) -> Connection:
    """Return the connection with files of this machine left alone until they are at least so old."""
    if not isinstance(connection, Files | Images) or connection.remote:
        return connection
    return replace(connection, settle_s=max(connection.settle_s, settle_s))


STEPS = {("source", "land"): work}
