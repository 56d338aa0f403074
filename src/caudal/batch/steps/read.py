"""``read:<source>``: landed files become a typed table; only files that are new are read."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from caudal.batch.publish import Origin, Replace, adopt, day_of, publish
from caudal.batch.step import StepResult, skipped
from caudal.batch.steps.newest import files_now, newest, outdated, raw_files, without_replaced
from caudal.batch.steps.wall_times import odd_wall_times
from caudal.declarations.node import Source
from caudal.declarations.schema import Field, Schema
from caudal.engine.session import has_died
from caudal.errors import CaudalError, SourceProblem
from caudal.graph.fingerprint import code_in_zone, code_of, digest
from caudal.ledger.records import landed
from caudal.runtime.faults import DYING_S, is_of_java
from caudal.runtime.storage import checked_raw
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest.explain import explain
from caudal.stages.ingest.let_in import LetIn, Outgrown
from caudal.stages.ingest.read import read
from caudal.storage import delta, storage_errors
from caudal.tables.corrections import replaced_keys
from caudal.tables.landing import LandedFile

if TYPE_CHECKING:
    from caudal.stages.ingest.read import ReadResult
    from caudal.storage.place import Place

SHOWN_NOTES = 8
# Spark's names of types → ours, where they differ.
_SPEC = {"timestamp_ntz": "timestamp", "timestamp": "timestamp_utc", "integer": "int", "short": "int", "byte": "int"}


@dataclass(frozen=True)
class Change:
    """What a source's table lacks, and what it holds that is no longer valid."""

    files: list[LandedFile]
    replace: Replace
    code: str
    fingerprint: str
    segments: tuple[str, ...]


def change(ws: Workspace, source: Source) -> Change | None:
    """Return what there is to do for a source, or None when its table is up to date."""
    files = files_now(ws, source)
    segments = tuple(sorted(file.segment for file in files))
    code = code_in_zone(code_of(source), ws.product.tz)
    fingerprint = digest(code, list(segments))
    number = ws.version(source.name)
    said = delta.identity(ws.folder(source.name), number) if number is not None else {}
    if number is None or said.get("code") != code or source.name in ws.rebuilt:
        return Change(files, "all", code, fingerprint, segments)
    have = set(said.get("segments", ()))
    gone = have - set(segments)
    if gone and said.get("let_in"):
        # What columns are called and of which type they are was told from files that do not count any more.
        return Change(files, "all", code, fingerprint, segments)
    new = [file for file in files if file.segment not in have]
    if not new and not gone:
        return None
    _, corrected = replaced_keys(new)  # files whose rows are corrected are read again, without those rows
    again = [file for file in files if file.segment in corrected and file.segment in have]
    again += outdated(ws, source, new, [file for file in files if file.segment in have and file not in again])
    out = frozenset(f"_segment={segment}" for segment in gone | {file.segment for file in again})
    return Change([*new, *again], out or "none", code, fingerprint, segments)


def work(ws: Workspace, source: Source) -> StepResult:
    """Read new files by the source's schema, judge their rows, and publish them."""
    todo, days = change(ws, source), days_again(ws, source)
    if todo is not None:
        done = _read(ws, source, todo)
    if days:
        return _read(ws, source, _repeated(ws, source, days))
    if todo is not None:
        return done
    number = ws.version(source.name)
    assert number is not None
    return _known(ws, source, number)


def days_again(ws: Workspace, source: Source) -> set[str | None]:
    """Return the days of a source that are to be read again although no file has changed."""
    if not ws.again or not source.partition:
        return set()
    return {file.day for version in _published(ws, source) for file in version.files if file.day in ws.again}


def files_of(ws: Workspace, source: Source, days: set[str | None]) -> list[LandedFile]:
    """Return the landed files that rows of these days came from."""
    paths = [file.path for version in _published(ws, source) for file in version.files if file.day in days]
    segments = {match.group(1) for path in paths if (match := re.search(r"_segment=([0-9a-f]+)", path))}
    return [file for file in files_now(ws, source) if file.segment in segments]


def _published(ws: Workspace, source: Source) -> list[delta.Version]:
    """Return the versions that hold the source's rows: its table, and its quarantine where there is one."""
    folders = (ws.folder(source.name), ws.home.quarantine(ws.product.name, source.name))
    return [delta.read(folder) for folder in folders if delta.version_of(folder) is not None]


def _repeated(ws: Workspace, source: Source, days: set[str | None]) -> Change:
    segments = tuple(sorted(file.segment for file in files_now(ws, source)))
    code = code_in_zone(code_of(source), ws.product.tz)
    return Change(files_of(ws, source, days), days, code, digest(code, list(segments)), segments)


def _read(ws: Workspace, source: Source, todo: Change) -> StepResult:
    """Read files and publish their rows; of days that are read again, the rows of these days."""
    checked_raw(ws, source.name, todo.files)
    raw = raw_files(source, todo.files)
    old = ws.version(source.name)
    known = let_in = None
    if old is not None and todo.replace != "all":
        known = _known_schema(ws, source)
        kept = delta.identity(ws.folder(source.name), old).get("let_in")
        let_in = None if kept is None else [LetIn.of(column) for column in kept]
    unpacked = ws.home.scratch(ws.product.name) / source.name / "unpacked"
    try:
        try:
            result = read(
                ws.spark, raw, source, known=known, let_in=let_in, tz=ws.product.tz, scratch=unpacked, data=ws.settings.data
            )
        except Outgrown as outgrown:
            todo = replace(todo, files=files_now(ws, source), replace="all")
            raw = raw_files(source, todo.files)
            result = read(ws.spark, raw, source, tz=ws.product.tz, scratch=unpacked, data=ws.settings.data)
            result.notes[:0] = outgrown.notes
        origin = Origin(
            f"read:{source.name}", todo.code, todo.fingerprint, {}, todo.segments, tuple(file.segment for file in todo.files),
            let_in=tuple(column.as_dict() for column in result.let_in),
        )  # fmt: skip
        frame = newest(ws, source, without_replaced(ws, source, result.frame), result.schema)
        if isinstance(todo.replace, set):
            dates = [dt.date.fromisoformat(day) for day in todo.replace if day is not None]
            frame = frame.where(day_of(frame, source, ws.product.tz).isin(dates))
        result.notes.extend(_left_out(ws, source, todo))
        _tell(ws, source, result.notes)
        notes = {"files": len(todo.files), "notes": list(result.notes)}
        done = publish(ws, source, frame, origin, todo.replace, notes, notes=lambda stage: _of_clocks(ws, result, stage))
    except CaudalError as error:
        _refuse(ws, source, error)
        raise
    except Exception as error:
        told = None if storage_errors.of_spark(str(error)) else explain(error, raw) or _of_java(error, source, todo.files)
        if "OutOfMemoryError" in str(error) or (told is not None and "files" in told.facts):
            for file in todo.files:  # any of them may be what Java could not hold
                about = {"product": ws.product.name, "source": source.name, "path": file.path, "kind": "data"}
                ws.ledger.change(landed, about, kind="refused")
        if told is None:
            raise
        _refuse(ws, source, told)
        raise told from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    for row in ws.ledger.find(landed, product=ws.product.name, source=source.name, kind="refused"):
        if row["sha256"][:16] in todo.segments:  # one that was taken away goes on being left out
            ws.ledger.change(landed, {"id": row["id"]}, kind="data")
    rows = (done.rows_written or 0) + (done.rows_quarantined or 0)
    return replace(done, rows_read=rows)


def _of_clocks(ws: Workspace, result: ReadResult, stage: Place) -> dict[str, Any]:
    """Say which wall times the clocks showed twice or never, on the terminal and among the step's notes."""
    columns = [column.name for column in result.schema if column.type == "timestamp"]
    sentences = odd_wall_times(stage, columns, ws.product.tz)
    for sentence in sentences:
        ws.progress.noted(sentence)
    return {"notes": [*result.notes, *sentences]}


def _of_java(error: BaseException, source: Source, files: Sequence[LandedFile]) -> SourceProblem | None:
    """Return which files were read when Spark's Java process ended, or None when it lives."""
    if not is_of_java(error) or not has_died(within_s=DYING_S):
        return None
    names = ", ".join(f"'{file.path}'" for file in files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    return SourceProblem(
        f"Spark's Java process ended while source '{source.name}' read {names}.",
        fix="Give it more memory, CAUDAL_MEMORY=8g, or take the file away that it cannot hold.",
        files=len(files), transient=True,
    )  # fmt: skip


def _left_out(ws: Workspace, source: Source, todo: Change) -> list[str]:
    """Return a note for each file that no run could read and that is not at its place any more: it is no part of the source."""
    refused = ws.ledger.find(landed, product=ws.product.name, source=source.name, kind="refused")
    paths = sorted({row["path"] for row in refused if row["sha256"][:16] not in todo.segments})
    return [f"'{path}' could not be read by an earlier run and was taken away since: it is left out." for path in paths]


def _tell(ws: Workspace, source: Source, notes: Sequence[str]) -> None:
    """Show on the terminal what was made of the files' names, headers and types; all of it is on the run's page."""
    for note in notes[:SHOWN_NOTES]:
        ws.progress.noted(f"{source.name}: {note}")
    if len(notes) > SHOWN_NOTES:
        ws.progress.noted(f"{source.name}: {len(notes) - SHOWN_NOTES} more notes are on the run's page.")


def _refuse(ws: Workspace, source: Source, error: CaudalError) -> None:
    """Remember that a landed file could not be read: its bytes are kept, and it counts only while its origin is still there."""
    if isinstance(error, SourceProblem) and "file" in error.facts:
        about = {"product": ws.product.name, "source": source.name, "path": error.facts["file"], "kind": "data"}
        ws.ledger.change(landed, about, kind="refused")


def _known(ws: Workspace, source: Source, number: int) -> StepResult:
    said = delta.identity(ws.folder(source.name), number)
    step = f"read:{source.name}"
    last = ws.ledger.last_success(ws.product.name, step)
    if last is None or last["output_version"] != number:  # a run died between the data's commit and the ledger's
        found = adopt(ws, ws.folder(source.name), str(said.get("fingerprint")))
        if found is not None:
            return found
    return skipped("no new file", output_version=number, fingerprint=said.get("fingerprint"))


def _known_schema(ws: Workspace, source: Source) -> Schema:
    """Return the schema of the published table, with the raw names that the declaration gives."""
    declared = {field.name: field for field in source.schema or ()}
    own = [field for field in delta.read(ws.folder(source.name)).schema["fields"] if not field["name"].startswith("_")]
    return Schema(tuple(declared.get(field["name"]) or Field(field["name"], _spec(field["type"]), required=False) for field in own))


def _spec(type: str | Mapping[str, Any]) -> str:
    """Return a type of a table as a declaration says it."""
    return _SPEC.get(type, type) if isinstance(type, str) else f"array<{_spec(type['elementType'])}>"


STEPS = {("source", "read"): work}
