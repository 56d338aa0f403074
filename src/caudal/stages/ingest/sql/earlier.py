"""Earlier extractions: their set, their watermark, and the rows that the overlap reads again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.database import Database
from caudal.stages.ingest.arrival import KnownFile
from caudal.stages.ingest.sql.text_watermark import step_back
from caudal.storage.parquet import open_parquet

Watermark: TypeAlias = datetime | date | Decimal | int | float | str

DIGEST = 16  # bytes of the digest that identifies a row


@dataclass(frozen=True)
class EarlierExtractions:
    """The extractions that the next one continues.

    Parameters
    ----------
    set : str, the folder of their paths
    files : stored files, oldest first, with the notes on each
    newest : int, when the newest of them began, microseconds since 1970, UTC
    """

    set: str
    files: tuple[tuple[KnownFile, Mapping[str, Any]], ...]
    newest: int

    @property
    def watermark(self) -> Watermark | None:
        """Return the greatest watermark of these extractions, or None."""
        watermarks = [watermark_from_json(notes["watermark"]) for _, notes in self.files if notes.get("watermark")]
        return max(watermarks) if watermarks else None


def declaration_key(source: Database) -> str:
    """Return a key of the declaration: extractions with another key are not continued."""
    parts = [repr(source.address), source.table, source.query, source.watermark, list(source.key)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def earlier_extractions(source: Database, landed: Mapping[str, KnownFile]) -> EarlierExtractions | None:
    """Return the newest set of extractions, if it has the same declaration."""
    extractions = []
    for path, landed_file in landed.items():
        notes = json.loads(landed_file.etag or "{}")
        if "at" in notes:
            extractions.append((notes["at"], path, landed_file, notes))
    if not extractions:
        return None
    extractions.sort(key=lambda entry: entry[:2])
    newest, path, _, notes = extractions[-1]
    folder = path.rpartition("/")[0]
    same_declaration = notes["declared"] == declaration_key(source)
    files = tuple(
        (landed_file, notes)
        for _, file_path, landed_file, notes in extractions
        if same_declaration and file_path.rpartition("/")[0] == folder
    )
    return EarlierExtractions(folder, files, newest)


def overlap_start(source: Database, last: Watermark) -> Watermark:
    """Return the watermark from which rows are read again."""
    if isinstance(last, datetime):
        return last - timedelta(seconds=source.overlap)
    if isinstance(last, date):
        return last - timedelta(days=-(-source.overlap // 86400))
    if isinstance(last, str):
        return step_back(last, source.overlap)
    # Rounded away from zero, as integers have no fractions.
    return last - source.overlap if isinstance(last, float) else last - type(last)(-(-source.overlap // 1))


def resume_from(source: Database, earlier: EarlierExtractions | None) -> tuple[Watermark | None, LandedRows | None]:
    """Return the watermark from which rows are read, and those of them that were landed; None for both where all rows are read."""
    last = earlier.watermark if earlier is not None and source.watermark else None
    if earlier is None or last is None:
        return None, None
    low = overlap_start(source, last)
    return low, LandedRows(source, earlier, low)


class LandedRows:
    """The landed rows from a watermark on: for each key the digest of the newest one."""

    def __init__(self, source: Database, earlier: EarlierExtractions, low: Any) -> None:
        self.key = source.key
        self.newest: dict[bytes, bytes] = {}
        assert source.watermark is not None
        for landed_file, notes in earlier.files:
            last = watermark_from_json(notes["watermark"]) if notes.get("watermark") else None
            # A row without a watermark is read each time, so it may be in any file.
            if landed_file.stored is None or (last is not None and last < low and not notes.get("without")):
                continue
            with open_parquet(landed_file.stored) as file:
                for batch in file.iter_batches(batch_size=10_000):
                    column = batch.column(source.watermark)
                    read_again = pc.or_kleene(pc.greater_equal(column, _scalar(low, column.type)), pc.is_null(column))
                    self.newest.update(self._digests_by_key(batch.filter(read_again)))

    def new(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that were not landed before unchanged."""
        is_new = [self.newest.get(key) != digest for key, digest in self._digests_by_key(batch)]
        return batch if all(is_new) else batch.filter(pa.array(is_new, pa.bool_()))

    def _digests_by_key(self, batch: pa.RecordBatch) -> Iterator[tuple[bytes, bytes]]:
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        names = sorted(columns)
        for i in range(batch.num_rows):
            # A column that was added later and is null in a row does not change the row.
            digest = _digest([(name, columns[name][i]) for name in names if columns[name][i] is not None])
            yield (_digest([columns[name][i] for name in self.key]) if self.key else digest), digest


def _digest(values: Sequence[object]) -> bytes:
    return hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


def _scalar(low: Watermark, type: pa.DataType) -> pa.Scalar:
    return pa.scalar(low, type)


def watermark_as_json(last: Watermark) -> list[str]:
    """Return a watermark as the ledger stores it.

    Examples
    --------
    >>> watermark_from_json(watermark_as_json(7)), watermark_from_json(watermark_as_json(date(2024, 5, 1))), watermark_from_json(watermark_as_json(Decimal("1.50")))
    (7, datetime.date(2024, 5, 1), Decimal('1.50'))
    """
    kind = next(type_ for type_ in (datetime, date, Decimal, int, float, str) if isinstance(last, type_))
    return [kind.__name__, last.isoformat() if isinstance(last, date) else str(last)]


def watermark_from_json(stored: Sequence[str]) -> Watermark:
    """Return a watermark from its form in the ledger."""
    kind, text = stored
    if kind in ("datetime", "date"):
        return (datetime if kind == "datetime" else date).fromisoformat(text)
    values: dict[str, Callable[[str], Watermark]] = {"Decimal": Decimal, "int": int, "float": float, "str": str}
    return values[kind](text)


def stamp(at: int) -> str:
    """Return a moment, in microseconds since 1970, as a name that sorts.

    Examples
    --------
    >>> stamp(1_700_000_000_000_001)
    '20231114T221320.000001Z'
    """
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).strftime("%Y%m%dT%H%M%S.%fZ")
