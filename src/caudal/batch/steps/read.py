"""``read:<source>``: read new landed files into a typed table."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.batch.publish import Origin, Replace, adopt, day_of, publish
from caudal.batch.step import StepResult, skipped
from caudal.batch.steps.newest import current_files, newest_rows, outdated, raw_files, without_replaced_rows
from caudal.batch.steps.wall_times import odd_wall_times
from caudal.declarations.node import Source
from caudal.declarations.schema import Field, Schema
from caudal.engine.session import has_died
from caudal.errors import CaudalError, SourceProblem
from caudal.graph.fingerprint import code_in_zone, code_of, digest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.ledger.rows import StepDetail
from caudal.runtime.faults import DYING_S, is_java_failure
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.progress import Progress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.storage import check_raw_files
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest.added_columns import AddedColumn, Outgrown
from caudal.stages.ingest.explain import explain
from caudal.stages.ingest.read import read_files
from caudal.storage import delta, storage_errors
from caudal.tables.corrections import replaced_keys
from caudal.tables.landing import LandedFile

if TYPE_CHECKING:
    from caudal.stages.ingest.read import ReadResult
    from caudal.storage.place import Place

SHOWN_NOTES = 8
# Names of types in Spark → in declarations, where they differ.
_SPEC = {"timestamp_ntz": "timestamp", "timestamp": "timestamp_utc", "integer": "int", "short": "int", "byte": "int"}


@dataclass(frozen=True)
class SourceChange:
    """The files to read into a source's table, and the rows there that they replace."""

    files: list[LandedFile]
    replace: Replace
    code: str
    fingerprint: str
    segments: tuple[str, ...]


def pending_change(
    tables: ProductTables, ledger: Ledger, data: Path | None, source: Source, *, read_all: bool
) -> SourceChange | None:
    """Return the files to read and the rows to replace, or None when the source's table is up to date.

    Parameters
    ----------
    data : the folder that relative paths of a declaration start from
    read_all : whether all files are to be read again
    """
    files = current_files(tables, ledger, source)
    segments = tuple(sorted(file.segment for file in files))
    code = code_in_zone(code_of(source), tables.product.tz)
    fingerprint = digest(code, list(segments))
    number = tables.version(source.name)
    identity = delta.identity(tables.folder(source.name), number) if number is not None else {}
    if number is None or identity.get("code") != code or read_all:
        return SourceChange(files, "all", code, fingerprint, segments)
    read_segments = set(identity.get("segments", ()))
    gone_segments = read_segments - set(segments)
    if gone_segments and identity.get("let_in"):
        # The names and types of columns were inferred from files that do not count any more.
        return SourceChange(files, "all", code, fingerprint, segments)
    new = [file for file in files if file.segment not in read_segments]
    if not new and not gone_segments:
        return None
    _, corrected = replaced_keys(new)  # files whose rows are corrected are read again, without those rows
    again = [file for file in files if file.segment in corrected and file.segment in read_segments]
    again += outdated(data, source, new, [file for file in files if file.segment in read_segments and file not in again])
    replaced_segments = frozenset(f"_segment={segment}" for segment in gone_segments | {file.segment for file in again})
    return SourceChange([*new, *again], replaced_segments or "none", code, fingerprint, segments)


def work(ws: Workspace, source: Source) -> StepResult:
    """Read new files by the source's schema, judge their rows, and publish them."""
    read_all = source.name in ws.request.tables_again
    pending = pending_change(ws.tables, ws.record.ledger, ws.settings.data, source, read_all=read_all)
    days = days_to_read_again(ws.tables, ws.request.days_again, source)
    if pending is not None:
        result = _read(ws, source, pending)
    if days:
        return _read(ws, source, _change_of_days(ws.tables, ws.record.ledger, source, days))
    if pending is not None:
        return result
    number = ws.tables.version(source.name)
    assert number is not None
    return _unchanged(ws.record, ws.tables, source, number)


def days_to_read_again(tables: ProductTables, days_again: frozenset[str], source: Source) -> set[str | None]:
    """Return the days of a source to read again although no file has changed."""
    if not days_again or not source.partition:
        return set()
    return {file.day for version in _published_versions(tables, source) for file in version.files if file.day in days_again}


def files_of_days(tables: ProductTables, ledger: Ledger, source: Source, days: set[str | None]) -> list[LandedFile]:
    """Return the landed files that the rows of these days come from."""
    paths = [file.path for version in _published_versions(tables, source) for file in version.files if file.day in days]
    segments = {match.group(1) for path in paths if (match := re.search(r"_segment=([0-9a-f]+)", path))}
    return [file for file in current_files(tables, ledger, source) if file.segment in segments]


def _published_versions(tables: ProductTables, source: Source) -> list[delta.Version]:
    """Return the newest versions of the source's table and of its quarantine, as far as they exist."""
    folders = (tables.folder(source.name), tables.quarantine(source.name))
    return [delta.read_version(folder) for folder in folders if delta.version_of(folder) is not None]


def _change_of_days(tables: ProductTables, ledger: Ledger, source: Source, days: set[str | None]) -> SourceChange:
    segments = tuple(sorted(file.segment for file in current_files(tables, ledger, source)))
    code = code_in_zone(code_of(source), tables.product.tz)
    return SourceChange(files_of_days(tables, ledger, source, days), days, code, digest(code, list(segments)), segments)


def _read(ws: Workspace, source: Source, pending: SourceChange) -> StepResult:
    """Read files and publish their rows; when days are read again, only the rows of these days."""
    tables, ledger, product, data = ws.tables, ws.record.ledger, ws.product, ws.settings.data

    check_raw_files(tables.verified_raw_files, source.name, pending.files)
    raw = raw_files(source, pending.files)
    published_number = tables.version(source.name)
    schema = let_in = None
    if published_number is not None and pending.replace != "all":
        schema = _published_schema(tables, source)
        stored_columns = delta.identity(tables.folder(source.name), published_number).get("let_in")
        let_in = None if stored_columns is None else [AddedColumn.of(column) for column in stored_columns]
    unpacked = tables.home.scratch(product.name) / source.name / "unpacked"
    try:
        try:
            result = read_files(
                ws.spark.session,
                raw,
                source,
                published=schema,
                added_columns=let_in,
                tz=product.tz,
                scratch=unpacked,
                data=data,
            )
        except Outgrown as outgrown:
            pending = replace(pending, files=current_files(tables, ledger, source), replace="all")
            raw = raw_files(source, pending.files)
            result = read_files(ws.spark.session, raw, source, tz=product.tz, scratch=unpacked, data=data)
            result.notes[:0] = outgrown.notes
        origin = Origin(
            f"read:{source.name}", pending.code, pending.fingerprint, {}, pending.segments, tuple(file.segment for file in pending.files),
            let_in=tuple(column.as_dict() for column in result.added_columns),
        )  # fmt: skip
        files = current_files(tables, ledger, source)
        frame = own = newest_rows(tables, data, source, files, without_replaced_rows(files, result.frame), result.schema)
        if isinstance(pending.replace, set):
            dates = [dt.date.fromisoformat(day) for day in pending.replace if day is not None]
            frame = frame.where(day_of(frame, source, product.tz).isin(dates))
        result.notes.extend(_notes_of_left_out(ws.record, source, pending))
        _show_notes(ws.reporting.progress, source, result.notes)
        notes: StepDetail = {"files": len(pending.files), "notes": list(result.notes)}
        step_result = publish(
            ws.record,
            tables,
            ws.spark,
            source,
            frame,
            origin,
            pending.replace,
            notes,
            notes=lambda stage: _clock_notes(ws.reporting.progress, product.tz, result, stage),
            own=[own],
        )
    except CaudalError as error:
        _refuse(ws.record, source, error)
        raise
    except Exception as error:
        problem = (
            None if storage_errors.of_spark(str(error)) else explain(error, raw) or _java_problem(error, source, pending.files)
        )
        if "OutOfMemoryError" in str(error) or (problem is not None and "files" in problem.facts):
            for file in pending.files:  # any of them may be what Java could not hold
                about = {"product": product.name, "source": source.name, "path": file.path, "kind": "data"}
                ledger.change(landed, about, kind="refused")
        if problem is None:
            raise
        _refuse(ws.record, source, problem)
        raise problem from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    for row in ledger.find(landed, product=product.name, source=source.name, kind="refused"):
        if row["sha256"][:16] in pending.segments:  # one that was taken away goes on being left out
            ledger.change(landed, {"id": row["id"]}, kind="data")
    rows = (step_result.rows_written or 0) + (step_result.rows_quarantined or 0)
    return replace(step_result, rows_read=rows)


def _clock_notes(progress: Progress, tz: str, result: ReadResult, stage: Place) -> StepDetail:
    """Show which wall times the clocks showed twice or never, and return them with the step's notes."""
    columns = [column.name for column in result.schema if column.type == "timestamp"]
    sentences = odd_wall_times(stage, columns, tz)
    for sentence in sentences:
        progress.noted(sentence)
    return {"notes": [*result.notes, *sentences]}


def _java_problem(error: BaseException, source: Source, files: Sequence[LandedFile]) -> SourceProblem | None:
    """Return an error with the files that were read when Spark's Java process ended, or None when it still runs."""
    if not is_java_failure(error) or not has_died(within_s=DYING_S):
        return None
    names = ", ".join(f"'{file.path}'" for file in files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
    return SourceProblem(
        f"Spark's Java process ended while source '{source.name}' read {names}.",
        fix="Give it more memory, CAUDAL_MEMORY=8g, or take the file away that it cannot hold.",
        files=len(files), transient=True,
    )  # fmt: skip


def _notes_of_left_out(record: RunRecord, source: Source, pending: SourceChange) -> list[str]:
    """Return a note for each file that no run could read and that has been removed from its origin: it is left out of the source."""
    refused = record.ledger.find(landed, product=record.product_name, source=source.name, kind="refused")
    paths = sorted({row["path"] for row in refused if row["sha256"][:16] not in pending.segments})
    return [f"'{path}' could not be read by an earlier run and was taken away since: it is left out." for path in paths]


def _show_notes(progress: Progress, source: Source, notes: Sequence[str]) -> None:
    """Show the first notes on names, headers and types of the files; the run's page has all of them."""
    for note in notes[:SHOWN_NOTES]:
        progress.noted(f"{source.name}: {note}")
    if len(notes) > SHOWN_NOTES:
        progress.noted(f"{source.name}: {len(notes) - SHOWN_NOTES} more notes are on the run's page.")


def _refuse(record: RunRecord, source: Source, error: CaudalError) -> None:
    """Mark a landed file as unreadable in the ledger: its bytes are kept, and it counts only while its origin is still there."""
    if isinstance(error, SourceProblem) and "file" in error.facts:
        about = {"product": record.product_name, "source": source.name, "path": error.facts["file"], "kind": "data"}
        record.ledger.change(landed, about, kind="refused")


def _unchanged(record: RunRecord, tables: ProductTables, source: Source, number: int) -> StepResult:
    identity = delta.identity(tables.folder(source.name), number)
    step = f"read:{source.name}"
    last_row = record.ledger.last_success(tables.product.name, step)
    if last_row is None or last_row["output_version"] != number:  # a run died between the data's commit and the ledger's
        earlier_result = adopt(tables.folder(source.name), str(identity.get("fingerprint")))
        if earlier_result is not None:
            return earlier_result
    return skipped("no new file", output_version=number, fingerprint=identity.get("fingerprint"))


def _published_schema(tables: ProductTables, source: Source) -> Schema:
    """Return the schema of the published table, with the raw names that the declaration gives."""
    declared = {field.name: field for field in source.schema or ()}
    fields = [
        field for field in delta.read_version(tables.folder(source.name)).schema["fields"] if not field["name"].startswith("_")
    ]
    return Schema(
        tuple(
            declared.get(field["name"]) or Field(field["name"], _declared_type(field["type"]), required=False) for field in fields
        )
    )


def _declared_type(type: str | Mapping[str, Any]) -> str:
    """Return the name in declarations of a column's type in Spark."""
    return _SPEC.get(type, type) if isinstance(type, str) else f"array<{_declared_type(type['elementType'])}>"


STEPS = {("source", "read"): work}
