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
from caudal.ledger.monitored import BINS, COUNTS, KIND, REFERENCE, kept_of, newest_by_window
from caudal.stages.monitor.bins import Bins, Histogram, bins_from_json
from caudal.stages.monitor.count import Counter, WindowCounts, Windowed, bins_of, watched_as
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


@dataclass
class Counted:
    """The bins and the counts of a monitor.

    Parameters
    ----------
    columns : type of each column of the table when the bins were made
    left_out : columns that are not watched, with the reason
    table_version : of the table that the newest counts are of
    new, recounted : windows whose counts changed, and windows whose rows were read again
    references : predictions for the training rows, by model version
    """

    bins: dict[str, Bins]
    columns: dict[str, str]
    left_out: dict[str, str]
    windows: dict[int, WindowCounts] = field(default_factory=dict)
    table_version: int | None = None
    new: set[int] = field(default_factory=set)
    recounted: set[int] = field(default_factory=set)
    references: dict[int, Histogram] = field(default_factory=dict)
    new_references: set[int] = field(default_factory=set)
    has_new_bins: bool = False


def kept_counts(ledger: Ledger, product: str, monitor: str, code: str) -> Counted | None:
    """Return what the ledger keeps for a declaration; None where nothing was counted yet."""
    bins_rows = kept_of(ledger, product, monitor, code=code, metric=BINS)
    if not bins_rows:
        return None
    detail: Mapping[str, Any] = bins_rows[0].detail
    bins = {column: bins_from_json(document) for column, document in detail["bins"].items()}
    counted = Counted(bins, dict(detail["columns"]), dict(detail["left_out"]))
    rows = newest_by_window(kept_of(ledger, product, monitor, code=code, metric=COUNTS))
    for row in rows:
        counts: Mapping[str, Any] = row.detail
        histograms = {
            column: Histogram(tuple(entry["counts"]), entry["nulls"])
            for column, entry in counts["columns"].items()
            if column in bins
        }
        counted.windows[counts["start"]] = WindowCounts(int(row.value), histograms)
    for row in kept_of(ledger, product, monitor, code=code, metric=REFERENCE):
        document: Mapping[str, Any] = row.detail
        if row.version is not None:
            counted.references.setdefault(row.version, Histogram(tuple(document["counts"]), document["nulls"]))
    counted.table_version = max((row.version for row in rows if row.version is not None), default=None)
    return counted


def new_counts(product: Product, monitor: Monitor, version: delta.Version, until: str | None) -> Counted:
    """Return the bins for the columns of a table, taken from its rows; nothing is counted yet.

    Parameters
    ----------
    until : last day of the rows that the bins are taken from; None: all rows
    """
    schema = _arrow_schema(version)
    types = {name: str(kind) for name, kind in arrow_schema(version).items() if not name.startswith("_")}
    names = monitor.columns or tuple(name for name in types if name not in not_watched(product, monitor))
    left_out = {name: "the table does not have it" for name in names if name not in types}
    left_out |= {
        name: f"its type is {types[name]}" for name in names if name in types and watched_as(schema.field(name).type) is None
    }
    columns = [name for name in names if name not in left_out]
    days = {day for day in version.days if day is None or until is None or day <= until} if version.partitioned else None
    bins_by_column = bins_of(batches(version, columns, days), columns)
    bins = {name: bins for name, bins in bins_by_column.items() if bins is not None}
    for name in columns:
        if name not in bins:
            is_text = watched_as(schema.field(name).type) == "categories"
            left_out[name] = "it has no value, or more than 1,000 different ones" if is_text else "it has no value"
    return Counted(bins, types, left_out)


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
    counter = Counter({name: bins for name, bins in counted.bins.items() if name in present}, windowed, within)
    times = [windowed.event_time] if windowed.event_time else []
    for batch in batches(version, [*times, *counter.bins], days):
        counter.add(batch)
    result = counter.result()
    if key is not None:
        result = {key: next(iter(result.values()), WindowCounts(0, {}))}
    for start in within or ():
        result.setdefault(start, WindowCounts(0, {}))
    for start, counts in result.items():
        counted.recounted.add(start)
        before = counted.windows.get(start)
        same = before is not None and before.rows == counts.rows and _of_columns(before) == _of_columns(counts)
        if not same:
            counted.windows[start] = counts
            counted.new.add(start)


def _of_columns(counts: WindowCounts) -> dict[str, Histogram]:
    return {column: histogram for column, histogram in counts.columns.items() if column != PREDICTION}


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
    counted: Counted, *, product: str, run_id: str, at: float, monitor: str, code: str, table_version: int, window_s: float, tz: str, first: bool,
) -> Iterator[Measurement]:  # fmt: skip
    """Yield the measurements that keep what was counted anew."""
    if first or counted.has_new_bins:
        detail: dict[str, Any] = {
            "code": code, "bins": {column: bins.as_json() for column, bins in counted.bins.items()}, "columns": counted.columns,
            "left_out": counted.left_out,
        }  # fmt: skip
        yield Measurement(product, run_id, at, KIND, monitor, BINS, float(len(counted.bins)), version=table_version, detail=detail)
    for model_version in sorted(counted.new_references):
        reference = counted.references[model_version]
        yield Measurement(
            product, run_id, at, KIND, monitor, REFERENCE, float(reference.rows), count=reference.rows, version=model_version,
            detail={"code": code, "counts": list(reference.counts), "nulls": reference.nulls},
        )  # fmt: skip
    for start in sorted(counted.new):
        counts = counted.windows[start]
        columns: dict[str, Any] = {
            column: {"counts": list(histogram.counts), "nulls": histogram.nulls} for column, histogram in counts.columns.items()
        }
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
