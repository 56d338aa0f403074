"""How a source's raw file is searched for a subject: by its format and packing, as the source reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from caudal.declarations.node import Source
from caudal.governance import archives, workbooks
from caudal.ledger.rows import LandedRow
from caudal.stages.ingest.formats.json_records import row_spans
from caudal.stages.ingest.raw import format_of, packing_of, path_of
from caudal.tables import erased
from caudal.tables.raw_records import Is, RawKind

_UNPACKED_FIRST = ("parquet", "excel")  # formats that can be searched only when unpacked


def raw_kind(source: Source, row: LandedRow, room: Path) -> RawKind:
    """Return how a landed file of a source is read.

    Parameters
    ----------
    room : Path, a temporary folder for the content of a packed file while it is searched
    """
    if row["kind"] == "correction":
        return _kind(source, row["path"], room, "parquet")
    return _kind(source, row["path"], room, getattr(source.connection, "format", None))


def without_subject(file: Path, draft: Path, kind: RawKind, columns: Sequence[tuple[str, Is]]) -> tuple[int, int]:
    """Write a raw file to ``draft`` without the subject's rows, by any of some columns; return the counts of removed and kept rows.

    Raises
    ------
    NotThere : the file cannot be written without these rows
    """
    endings = "".join(draft.suffixes)
    parts = [draft.with_name(f"{draft.name.removesuffix(endings)}-{number}{endings}") for number in range(len(columns))]
    removed = remaining = 0
    try:
        for part, (column, is_subject) in zip(parts, columns, strict=True):
            removed_by_column, remaining = erased.without(file, part, kind, column, is_subject)
            removed, file = removed + removed_by_column, part
        file.replace(draft)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return removed, remaining


def _kind(source: Source, name: str, room: Path, declared: str | None, depth: int = 1) -> RawKind:
    options: dict[str, object] = dict(getattr(source.connection, "options", {}))
    packing, format = packing_of(name), format_of(name, declared)
    names = tuple(column.raw_name for column in source.schema or ())
    if packing == ".zip":
        kind_of = partial(_member, source, room, declared)
        return RawKind(
            format,
            {},
            edit=partial(archives.edit_archive, kind_of=kind_of, options=options, format=declared, room=room, depth=depth),
        )
    plain = _plain(format, options, name, names)
    if packing is not None and format in _UNPACKED_FIRST:
        ending = Path(path_of(name).lower().removesuffix(packing)).suffix
        return RawKind(format, {}, edit=partial(archives.repacked, kind=plain, ending=ending, room=room))
    return plain


def _member(source: Source, room: Path, declared: str | None, name: str, depth: int) -> RawKind:
    return _kind(source, name, room, declared, depth)


def _plain(format: str, options: Mapping[str, object], name: str, names: tuple[str, ...]) -> RawKind:
    if format == "excel":
        return RawKind(format, options, names, edit=partial(workbooks.edit_workbook, options=options, names=names))
    if format == "csv" and not options.get("separator") and ".tsv" in name.lower():
        options = {**options, "separator": "\t"}
    record_spans = (
        partial(row_spans, path=str(options["records"]), name=name) if format == "json" and "records" in options else None
    )
    return RawKind(format, options, names, record_spans)
