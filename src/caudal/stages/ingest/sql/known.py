"""What earlier extractions brought: their set, their watermark, and the rows that an overlap brings again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from caudal.declarations.database import Database
from caudal.stages.ingest.arrival import Seen
from caudal.stages.ingest.sql.text_watermark import back
from caudal.storage.parquet import open_parquet

if TYPE_CHECKING:
    import pyarrow as pa

DIGEST = 16  # bytes by which a row is known again


@dataclass(frozen=True)
class Before:
    """The extractions that count together with the next one.

    Parameters
    ----------
    set : str, the folder of their paths
    files : stored files, oldest first, with what was noted of each
    newest : int, when the newest of them began, microseconds since 1970, UTC
    """

    set: str
    files: tuple[tuple[Seen, Mapping[str, Any]], ...]
    newest: int

    @property
    def watermark(self) -> Any:
        """The greatest watermark that was seen, or None."""
        found = [value(noted["watermark"]) for _, noted in self.files if noted.get("watermark")]
        return max(found) if found else None


def declared(source: Database) -> str:
    """Return what makes extractions count together: who asks otherwise begins anew."""
    said = [repr(source.address), source.table, source.query, source.watermark, list(source.key)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def before(source: Database, seen: Mapping[str, Seen]) -> Before | None:
    """Return the newest set of extractions, when it was declared as now."""
    found = []
    for path, one in seen.items():
        noted = json.loads(one.etag or "{}")
        if "at" in noted:
            found.append((noted["at"], path, one, noted))
    if not found:
        return None
    found.sort(key=lambda one: one[:2])
    newest, path, _, noted = found[-1]
    folder = path.rpartition("/")[0]
    same = noted["declared"] == declared(source)
    files = tuple((one, said) for _, own, one, said in found if same and own.rpartition("/")[0] == folder)
    return Before(folder, files, newest)


def since(source: Database, last: Any) -> Any:
    """Return the watermark from which rows are asked for again."""
    if isinstance(last, datetime):
        return last - timedelta(seconds=source.overlap)
    if isinstance(last, date):
        return last - timedelta(days=-(-source.overlap // 86400))
    if isinstance(last, str):
        return back(last, source.overlap)
    # Rounded away from zero, as a fraction of a whole number is none.
    return last - (source.overlap if isinstance(last, float) else type(last)(-(-source.overlap // 1)))


def goes_on(source: Database, earlier: Before | None) -> tuple[Any, Brought | None]:
    """Return the watermark from which rows are asked for, and those of them that were landed; None for both where all are asked for."""
    last = earlier.watermark if earlier is not None and source.watermark else None
    if earlier is None or last is None:
        return None, None
    low = since(source, last)
    return low, Brought(source, earlier, low)


class Brought:
    """Rows of a stretch of watermarks that were landed: of each key the newest one's digest."""

    def __init__(self, source: Database, earlier: Before, low: Any) -> None:
        import pyarrow.compute as pc

        self.key = source.key
        self.newest: dict[bytes, bytes] = {}
        assert source.watermark is not None
        for one, noted in earlier.files:
            last = value(noted["watermark"]) if noted.get("watermark") else None
            # A row without a watermark is asked for each time, so it may be in any file.
            if one.stored is None or (last is not None and last < low and not noted.get("without")):
                continue
            with open_parquet(one.stored) as file:
                for batch in file.iter_batches(batch_size=10_000):
                    column = batch.column(source.watermark)
                    again = pc.or_kleene(pc.greater_equal(column, _scalar(low, column.type)), pc.is_null(column))
                    self.newest.update(self._named(batch.filter(again)))

    def new(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that were not landed as they are."""
        import pyarrow as pa

        kept = [self.newest.get(key) != digest for key, digest in self._named(batch)]
        return batch if all(kept) else batch.filter(pa.array(kept, pa.bool_()))

    def _named(self, batch: pa.RecordBatch) -> Iterator[tuple[bytes, bytes]]:
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        names = sorted(columns)
        for i in range(batch.num_rows):
            # A column that came later and is null in a row does not make it another row.
            digest = _digest([(name, columns[name][i]) for name in names if columns[name][i] is not None])
            yield (_digest([columns[name][i] for name in self.key]) if self.key else digest), digest


def _digest(values: Sequence[Any]) -> bytes:
    return hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


def _scalar(low: Any, type: pa.DataType) -> Any:
    import pyarrow as pa

    return pa.scalar(low, type)


def written(last: Any) -> list[str]:
    """Return a watermark as the ledger keeps it.

    Examples
    --------
    >>> value(written(7)), value(written(date(2024, 5, 1))), value(written(Decimal("1.50")))
    (7, datetime.date(2024, 5, 1), Decimal('1.50'))
    """
    kind = next(one for one in (datetime, date, Decimal, int, float, str) if isinstance(last, one))
    return [kind.__name__, last.isoformat() if isinstance(last, date) else str(last)]


def value(noted: Sequence[str]) -> Any:
    """Return a watermark from what the ledger keeps."""
    kind, said = noted
    if kind in ("datetime", "date"):
        return (datetime if kind == "datetime" else date).fromisoformat(said)
    return {"Decimal": Decimal, "int": int, "float": float, "str": str}[kind](said)


def stamp(at: int) -> str:
    """Return a moment, in microseconds since 1970, as a name that sorts.

    Examples
    --------
    >>> stamp(1_700_000_000_000_001)
    '20231114T221320.000001Z'
    """
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).strftime("%Y%m%dT%H%M%S.%fZ")
