"""``land:<source>``: copy new files into the raw store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from caudal.batch.step import StepResult
from caudal.declarations.connection import Connection, Files, Http, Simulated
from caudal.declarations.images import Images
from caudal.declarations.node import Source
from caudal.declarations.requests import Requests
from caudal.graph.fingerprint import code_of
from caudal.ledger.records import landed
from caudal.ledger.rows import FileDocument, LandedRow
from caudal.runtime.run_record import RunRecord
from caudal.runtime.storage import missing_raw
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest import Engine, KnownFile, arrivals
from caudal.stages.ingest.origin import base_folder, former_name
from caudal.tables.home import Home
from caudal.tables.landing import LandedFile, land, origin_of, rebase_paths, store_path

_TOLD = 3  # files that hold the same bytes as another
SHOWN_LINKS = 5


def work(ws: Workspace, source: Source) -> StepResult:
    """Land every new file that is complete; one that is still being written waits for the next run."""
    home, ledger, product, progress = ws.tables.home, ws.record.ledger, ws.product, ws.reporting.progress

    base = None
    if isinstance(source.connection, Files) and (base := base_folder(source.connection.pattern, ws.settings.data)) is not None:
        rebase_paths(ledger, product.name, source.name, base, former_name(source.connection.pattern, base))
    rows = ledger.find(landed, product=product.name, source=source.name)
    changed = getattr(source.connection, "changed", "replace")
    raw = home.raw(product.name, source.name)
    known_files = {
        row["path"]: KnownFile(
            row["etag"], row["modified_ns"], row["bytes"], row["sha256"], store_path(raw, row["sha256"], row["path"])
        )
        for row in rows
        if row["kind"] != "correction" and not _is_read_again(row, changed)
    }
    if isinstance(source.connection, Files | Http) and changed != "set":
        # A file that is missing in the raw store is landed again from its origin, if it is still there.
        known_files = {
            path: arrival
            for path, arrival in known_files.items()
            if not isinstance(arrival.stored, Path) or arrival.stored.exists()
        }
    scratch = home.fetched(product.name, source.name)
    scratch.mkdir(parents=True, exist_ok=True)
    arrived = arrivals(
        with_settle_time(_located(_with_code(source), home, product.name, source), ws.settings.settle or 0.0), data=ws.settings.data, scratch=scratch, landed=known_files, clock=ws.record.clock,
        engine=Engine(lambda: ws.spark.session, home.staged(product.name, source.name)),
    )  # fmt: skip
    settled = [arrival for arrival in arrived if arrival.settled]
    if ws.reporting.before_landing is not None:
        ws.reporting.before_landing(ws.record, source, settled)
    files = land(
        settled,
        home,
        ledger,
        product=product.name,
        source=source.name,
        run_id=ws.record.run_id,
        changed=changed,
        base=base,
    )
    shutil.rmtree(scratch, ignore_errors=True)
    if missing := missing_raw(home, ledger, product.name, source.name):
        progress.noted(
            f"{len(missing)} raw file{'s'[: len(missing) != 1]} of '{source.name}' {'is' if len(missing) == 1 else 'are'} gone, such as that of "
            f"'{missing[0]}': its rows are in the table, and cannot be made again. caudal verify tells more."
        )
    if notes := _duplicate_notes(ws.record, source, files):
        progress.noted(" ".join(notes))
    file_documents: list[FileDocument] = [
        {"path": file.path, "bytes": file.bytes, "sha256": file.sha256, "state": "landed" if file.new else "known"}
        for file in files
    ]
    file_documents += [
        {"path": arrival.path, "bytes": arrival.bytes, "sha256": None, "state": "waiting"}
        for arrival in arrived
        if not arrival.settled and arrival.link is None
    ]
    links = [arrival for arrival in arrived if arrival.link is not None]
    for arrival in links[:SHOWN_LINKS]:
        progress.noted(
            f"{source.name}: '{arrival.path}' is a link to '{arrival.link}' and is not followed; follow_links=True follows it."
        )
    if len(links) > SHOWN_LINKS:
        progress.noted(f"{source.name}: {len(links) - SHOWN_LINKS} more links are not followed.")
    file_documents += [{"path": link.path, "bytes": 0, "sha256": None, "state": "link"} for link in links]
    waiting_paths = [document["path"] for document in file_documents if document["state"] == "waiting"]
    if not any(file.new for file in files):
        why = "no new file" + (f"; still being written: {', '.join(map(str, waiting_paths))}" if waiting_paths else "")
        return StepResult(state="skipped", detail={"why": why, "files": file_documents})
    return StepResult(
        detail={"files": file_documents, "landed": sum(file.new for file in files), "waiting": waiting_paths, "notes": notes}
    )


def _duplicate_notes(record: RunRecord, source: Source, files: Sequence[LandedFile]) -> list[str]:
    """Return a sentence for each new file that holds the same bytes as another: such files count once."""
    new = {file.path for file in files if file.new}
    newest = (
        {row["path"]: row["sha256"] for row in record.ledger.find(landed, product=record.product_name, source=source.name)}
        if new
        else {}
    )
    paths: dict[str, list[str]] = {}
    for path, sha256 in newest.items():
        paths.setdefault(sha256, []).append(path)
    duplicates = [same_paths for same_paths in paths.values() if len(same_paths) > 1 and new & set(same_paths)]
    sentences = [
        f"'{same_paths[-1]}' holds the same bytes as '{same_paths[0]}': they count once." for same_paths in duplicates[:_TOLD]
    ]
    return (
        [*sentences, f"So it is with {len(duplicates) - _TOLD} more contents of '{source.name}'."]
        if len(duplicates) > _TOLD
        else sentences
    )


def _is_read_again(row: LandedRow, changed: str) -> bool:
    """Return whether a refused file is landed again: it counts only while it is at its origin (`caudal.tables.landing.current`)."""
    return row["kind"] == "refused" and changed != "set" and not origin_of(row).exists()


def _with_code(source: Source) -> Connection:
    """Return a source's connection; that of a simulator with the fingerprint of its code."""
    return replace(source.connection, code=code_of(source)) if isinstance(source.connection, Simulated) else source.connection


def _located(connection: Connection, home: Home, product: str, source: Source) -> Connection:
    """Return a connection; that of a source of requests with the folder in which servers write them."""
    return replace(connection, folder=str(home.requests(product, source.name))) if isinstance(connection, Requests) else connection


def with_settle_time(connection: Connection, settle_s: float) -> Connection:
    """Return the connection with at least this settle time for files of this machine: younger files are not landed yet."""
    if not isinstance(connection, Files | Images) or connection.remote:
        return connection
    return replace(connection, settle_s=max(connection.settle_s, settle_s))


STEPS = {("source", "land"): work}
