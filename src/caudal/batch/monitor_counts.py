"""The counts of a monitor's windows: kept in the ledger, and brought up to date by counting only the days that changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import Schema

from caudal.declarations.signature import PREDICTION
from caudal.graph.check_monitors import not_watched
from caudal.ledger.measurements import Measurement
from caudal.ledger.monitored import COLUMNS, COUNTS, KEPT, KIND, REFERENCE, kept_of, newest_by_window
from caudal.stages.monitor.bins import bins_of
from caudal.stages.monitor.column_counts import (
    FEWER_KEYS,
    MOST_CATEGORIES,
    MOST_KEYS,
    ColumnCounts,
    NumberCounts,
    counts_from_json,
    only_grows,
    together,
    watched_as,
)
from caudal.stages.monitor.count import Counter, WindowCounts, Windowed
from caudal.stages.monitor.windows import instant, start_of_day, windows_of_day
from caudal.storage import delta
from caudal.storage.parquet import dataset
from caudal.storage.storage_errors import translate_storage_errors
from caudal.tables import changes
from caudal.tables.intact import check_small, name_damaged_file

if TYPE_CHECKING:
    from caudal.declarations.monitor import Monitor
    from caudal.declarations.product import Product
    from caudal.ledger.ledger import Ledger

BATCH_ROWS = 131_072
_NOTHING = WindowCounts(0, {})


@dataclass
class Counted:
    """The columns and the counts of a monitor.

    Parameters
    ----------
    columns : the columns that are counted
    types : type of each column of the table when it was first counted
    left_out : columns that are not watched, with the reason
    table_version : of the table that the newest counts are of
    new, recounted : windows whose counts changed, and windows whose rows were read again
    references : predictions for the training rows, by model version
    """

    columns: tuple[str, ...]
    types: dict[str, str]
    left_out: dict[str, str]
    windows: dict[int, WindowCounts] = field(default_factory=dict)
    table_version: int | None = None
    new: set[int] = field(default_factory=set)
    recounted: set[int] = field(default_factory=set)
    references: dict[int, ColumnCounts] = field(default_factory=dict)
    new_references: set[int] = field(default_factory=set)
    kept_left_out: dict[str, str] | None = None

    @property
    def watched(self) -> tuple[str, ...]:
        """The columns whose figures are judged."""
        return tuple(column for column in self.columns if column not in self.left_out)


def kept_counts(
    ledger: Ledger, product: Product, monitor: Monitor, code: str, version: delta.Version, windows: int = KEPT
) -> Counted | None:
    """Return what the ledger keeps for a declaration, of its newest windows; None where nothing was counted yet, or a column to be watched is new."""
    kept = kept_of(ledger, product.name, monitor.name, code=code, metric=COLUMNS)
    if not kept:
        return None
    detail: Mapping[str, Any] = kept[0].detail
    present = new_counts(product, monitor, version)
    counted = Counted(tuple(detail["columns"]), dict(detail["types"]), present.left_out, kept_left_out=dict(detail["left_out"]))
    if set(present.columns) - set(counted.columns):
        return None  # the windows before are counted with it, as a new home would count them
    rows = newest_by_window(kept_of(ledger, product.name, monitor.name, code=code, metric=COUNTS), windows)
    for row in rows:
        counts: Mapping[str, Any] = row.detail
        columns = {column: counts_from_json(entry) for column, entry in counts["columns"].items()}
        counted.windows[counts["start"]] = WindowCounts(int(row.value), columns)
    for row in kept_of(ledger, product.name, monitor.name, code=code, metric=REFERENCE):
        document: Mapping[str, Any] = row.detail
        if row.version is not None:
            counted.references.setdefault(row.version, counts_from_json(document["counts"]))
    counted.table_version = max((row.version for row in rows if row.version is not None), default=None)
    return counted


def new_counts(product: Product, monitor: Monitor, version: delta.Version) -> Counted:
    """Return the columns of a table that are to be counted, by its schema; nothing is counted yet."""
    schema = _arrow_schema(version)
    types = {name: str(kind) for name, kind in arrow_schema(version).items() if not name.startswith("_")}
    names = monitor.columns or tuple(name for name in types if name not in not_watched(product, monitor))
    left_out = {name: "the table does not have it" for name in names if name not in types}
    left_out |= {
        name: f"its type is {types[name]}" for name in names if name in types and watched_as(schema.field(name).type) is None
    }
    return Counted(tuple(name for name in names if name not in left_out), types, left_out)


def leave_out(counted: Counted, reference: Iterable[int], named: bool) -> None:
    """Leave out the columns whose figures would say nothing, by the windows of the first reference.

    Parameters
    ----------
    reference : starts of the windows
    named : whether the declaration names its columns; those are watched though they only grow
    """
    starts = list(reference)
    for column in counted.columns:
        every = [counts.columns[column] for _, counts in sorted(counted.windows.items()) if column in counts.columns]
        known = [
            counted.windows[start].columns[column] for start in starts if column in counted.windows.get(start, _NOTHING).columns
        ]
        whole = together(known)
        if whole is not None and bins_of(whole) is None:
            too_many = f", or more than {MOST_CATEGORIES:,} different ones" if not isinstance(whole, NumberCounts) else ""
            counted.left_out[column] = f"it has no value{too_many}"
        elif not named and only_grows([counts for counts in every if isinstance(counts, NumberCounts)]):
            counted.left_out[column] = "it only grows, as a number of rows or a clock does"


def count(
    counted: Counted, version: delta.Version, windowed: Windowed, *, key: int | None = None, within: frozenset[int] | None = None,
    days: set[str | None] | None = None,
) -> None:  # fmt: skip
    """Count windows of a table version into ``counted``: all of its days, or some.

    Parameters
    ----------
    key : the window of all rows, where they have no time
    """
    present = set(_arrow_schema(version).names) - {PREDICTION}
    by_day = version.partitioned and windowed.event_time is not None  # rows without a time are in no window
    counter = Counter([name for name in counted.columns if name in present], windowed, within, MOST_KEYS if by_day else FEWER_KEYS)
    names = [*([windowed.event_time] if windowed.event_time else []), *counter.columns]
    if by_day:
        for day in sorted(day for day in (version.days if days is None else days) if day is not None):
            counter.close(before=start_of_day(day))
            for batch in batches(version, names, {day}):
                counter.add(batch)
    else:
        for batch in batches(version, names, days):
            counter.add(batch)
    result = counter.result()
    if key is not None:
        result = {key: next(iter(result.values()), WindowCounts(0, {}))}
    take_counts(counted, result, within or ())


def take_counts(counted: Counted, result: dict[int, WindowCounts], within: Iterable[int]) -> None:
    """Put windows that were counted now in place of what is known of them.

    Parameters
    ----------
    within : starts of the windows that were looked for; those that had rows and are not in ``result`` have none any more
    """
    for start in within:
        if start in counted.windows:
            result.setdefault(start, WindowCounts(0, {}))
    for start, counts in result.items():
        counted.recounted.add(start)
        before = counted.windows.get(start)
        same = before is not None and before.rows == counts.rows and _of_columns(before) == _of_columns(counts)
        if not same:
            counted.windows[start] = counts
            counted.new.add(start)


def _of_columns(counts: WindowCounts) -> dict[str, ColumnCounts]:
    return {column: of_column for column, of_column in counts.columns.items() if column != PREDICTION}


def count_changes(counted: Counted, version: delta.Version, windowed: Windowed) -> None:
    """Bring the counts up to date with a table version: only the windows of days that changed since."""
    since = counted.table_version
    if since is None or not version.partitioned:
        count(counted, version, windowed)
        return
    changed = changes.changed_days(version.folder, since, version.number)
    starts = frozenset(start for day in changed if day is not None for start in windows_of_day(day, windowed.window_s))
    if not starts:
        return
    ends = max(starts) + windowed.window_s
    days = {
        day for day in version.days if day is not None and min(starts) <= start_of_day(day) < ends
        and any(start in starts for start in windows_of_day(day, windowed.window_s))
    }  # fmt: skip
    count(counted, version, windowed, within=starts, days=set(days))


def batches(version: delta.Version, columns: Iterable[str], days: set[str | None] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield columns of a table version batch by batch, without Spark."""
    paths = version.paths(days)
    if not paths:
        return
    check_small(version, paths)
    names = list(dict.fromkeys(columns))
    schema = _arrow_schema(version)
    with translate_storage_errors(version.folder), name_damaged_file(lambda: paths, f"Table '{version.folder.name}'"):
        rows = dataset(paths, pa.schema([schema.field(name) for name in schema.names]))
        yield from rows.to_batches(columns=names, batch_size=BATCH_ROWS)


def measurements_of(
    counted: Counted, *, product: str, run_id: str, at: float, monitor: str, code: str, table_version: int, window_s: float, tz: str,
    open_from: int | None = None,
) -> Iterator[Measurement]:  # fmt: skip
    """Yield the measurements that keep what was counted anew.

    Parameters
    ----------
    open_from : of a table that streams write, the start of the first window that is not counted yet
    """
    if counted.kept_left_out != counted.left_out or open_from is not None:
        detail: dict[str, Any] = {
            "code": code, "columns": list(counted.columns), "types": counted.types, "left_out": counted.left_out,
        }  # fmt: skip
        if open_from is not None:
            detail["open_from"] = open_from
        yield Measurement(
            product, run_id, at, KIND, monitor, COLUMNS, float(len(counted.watched)), version=table_version, detail=detail
        )
    for model_version in sorted(counted.new_references):
        reference = counted.references[model_version]
        yield Measurement(
            product, run_id, at, KIND, monitor, REFERENCE, float(reference.rows), count=reference.rows, version=model_version,
            detail={"code": code, "counts": reference.as_json()},
        )  # fmt: skip
    for start in sorted(counted.new):
        counts = counted.windows[start]
        columns: dict[str, Any] = {column: of_column.as_json() for column, of_column in counts.columns.items()}
        yield Measurement(
            product, run_id, at, KIND, monitor, COUNTS, float(counts.rows), count=counts.rows, window_start=instant(start, tz),
            window_end=instant(start + window_s, tz), version=table_version, detail={"code": code, "start": start, "columns": columns},
        )  # fmt: skip


def arrow_schema(version: delta.Version) -> dict[str, pa.DataType]:
    """Return the type of each column of a table version."""
    return {field.name: field.type for field in _arrow_schema(version)}


def _arrow_schema(version: delta.Version) -> pa.Schema:
    whole = pa.schema(Schema.from_json(json.dumps(dict(version.schema))).to_arrow())
    return pa.schema([whole.field(name) for name in whole.names if name != delta.DAY])
