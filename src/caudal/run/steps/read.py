"""``read:<source>``: landed files become a typed table; only files that are new are read."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from caudal.errors import CaudalError, SourceProblem
from caudal.graph.fingerprint import code_of, digest
from caudal.lake import delta
from caudal.lake.corrections import key, replaced
from caudal.lake.landing import LandedFile, current
from caudal.lake.records import landed
from caudal.run.publish import Origin, Replace, adopt, publish
from caudal.run.step import Done, skipped
from caudal.run.workspace import Workspace
from caudal.spec.node import Source
from caudal.spec.schema import Field, Schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
    files = current(
        ws.home, ws.ledger, product=ws.product.name, source=source.name, changed=getattr(source.connection, "changed", "replace")
    )
    segments = tuple(sorted(file.segment for file in files))
    code = code_of(source)
    fingerprint = digest(code, list(segments))
    number = ws.version(source.name)
    said = delta.identity(ws.folder(source.name), number) if number is not None else {}
    if number is None or said.get("code") != code:
        return Change(files, "all", code, fingerprint, segments)
    have = set(said.get("segments", ()))
    gone = have - set(segments)
    new = [file for file in files if file.segment not in have]
    if not new and not gone:
        return None
    _, corrected = replaced(new)  # files whose rows are corrected are read again, without those rows
    again = [file for file in files if file.segment in corrected and file.segment in have]
    out = frozenset(f"_segment={one}" for one in gone | {file.segment for file in again})
    return Change([*new, *again], out or "none", code, fingerprint, segments)


def work(ws: Workspace, source: Source) -> Done:
    """Read new files by the source's schema, judge their rows, and publish them."""
    todo = change(ws, source)
    if todo is None:
        number = ws.version(source.name)
        assert number is not None
        return _known(ws, source, number)
    from caudal.stages.ingest import RawFile, explain, read

    told = getattr(source.connection, "format", None)
    raw = [
        RawFile(path=file.stored, sha256=file.sha256, name=file.path, format="parquet" if file.kind == "correction" else told)
        for file in todo.files
    ]
    old = ws.version(source.name)
    known = _known_schema(ws, source) if old is not None and todo.replace != "all" else None
    unpacked = ws.home.scratch(ws.product.name) / source.name / "unpacked"
    try:
        result = read(ws.spark, raw, source, known=known, tz=ws.product.tz, scratch=unpacked)
        origin = Origin(
            f"read:{source.name}", todo.code, todo.fingerprint, {}, todo.segments, tuple(file.segment for file in todo.files)
        )
        frame = _without_replaced(ws, source, result.frame)
        notes = {"files": len(todo.files), "notes": list(result.notes)}
        done = publish(ws, source, frame, origin, todo.replace, notes)
    except CaudalError as error:
        _refuse(ws, source, error)
        raise
    except Exception as error:
        told = explain(error, raw)
        if told is None:
            raise
        _refuse(ws, source, told)
        raise told from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    ws.ledger.change(landed, {"product": ws.product.name, "source": source.name, "kind": "refused"}, kind="data")
    rows = (done.rows_written or 0) + (done.rows_quarantined or 0)
    return replace(done, rows_read=rows)


def _refuse(ws: Workspace, source: Source, error: CaudalError) -> None:
    """Remember that a landed file could not be read: its bytes are kept, and it counts only while its origin is still there."""
    if isinstance(error, SourceProblem) and "file" in error.facts:
        about = {"product": ws.product.name, "source": source.name, "path": error.facts["file"], "kind": "data"}
        ws.ledger.change(landed, about, kind="refused")


def _without_replaced(ws: Workspace, source: Source, frame: DataFrame) -> DataFrame:
    """Return the rows that no correction replaces."""
    keys, _ = replaced(current(ws.home, ws.ledger, product=ws.product.name, source=source.name))
    if not keys:
        return frame
    from pyspark.sql import functions as F

    own = [name for name in frame.columns if not name.startswith("_")]
    gone = F.broadcast(ws.spark.createDataFrame([(one,) for one in keys], "_key long"))
    return frame.withColumn("_key", key(own)).join(gone, "_key", "left_anti").drop("_key")


def _known(ws: Workspace, source: Source, number: int) -> Done:
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
    return Schema(
        tuple(
            declared.get(field["name"]) or Field(field["name"], _SPEC.get(field["type"], field["type"]), required=False)
            for field in own
        )
    )
