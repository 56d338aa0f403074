"""A dimension's table: compute which rows are inserted, changed and removed."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.types as t

from caudal.declarations.star import OF_VERSIONS, Dimension
from caudal.errors import StepFailed, nearest
from caudal.storage.delta import DAY, Version
from caudal.tables.frames import arrow
from caudal.warehouses.star import history
from caudal.warehouses.star.history import END, Span
from caudal.warehouses.target import HIDDEN, WarehouseColumn, schema_of
from caudal.warehouses.types import copy_values, type_of

UNKNOWN = -1  # the member that stands for every missing one
CONTENT = "_content"
History = dict[object, list[Span]]


@dataclass
class DimensionChange:
    """The change of a dimension.

    Parameters
    ----------
    put : new or changed rows by surrogate key: the natural key, and the span with the row that it comes from
    moved : new end times of rows, by surrogate key
    gone : surrogate keys of removed rows
    touched : natural keys of all changed members
    """

    written: dict[int, tuple[object, Span]] = field(default_factory=dict)
    moved: dict[int, dt.datetime] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    touched: set[object] = field(default_factory=set)


def attributes(dimension: Dimension, schema: pa.Schema) -> list[str]:
    """Return the columns other than the key.

    Raises
    ------
    StepFailed : a named column does not exist, or has a name that the dimension itself uses
    """
    present = [name for name in schema.names if name != DAY and name not in HIDDEN]
    for name in (dimension.key, *(dimension.columns or ()), *([dimension.since] if dimension.since else [])):
        if name not in present:
            raise StepFailed(
                f"Dimension '{dimension.name}' names the column '{name}', which '{dimension.of}' has not.",
                nearest=nearest(name, present),
                fix=f"It has {', '.join(present)}.",
                column=name,
            )
    names = [name for name in (dimension.columns or present) if name not in (dimension.key, dimension.since)]
    for name in names:
        if name in (dimension.surrogate, CONTENT, *OF_VERSIONS):
            raise StepFailed(
                f"Dimension '{dimension.name}' makes a column '{name}', and '{dimension.of}' has one.",
                fix="Rename it there, or leave it out by columns=.",
            )
    return names


def dimension_columns(dimension: Dimension, version: Version, comments: dict[str, str]) -> tuple[WarehouseColumn, ...]:
    """Return the dimension's columns in the warehouse."""
    schema = schema_of(version)
    result = [
        WarehouseColumn(dimension.surrogate, "bigint", f"Names a row of {dimension.name}; {UNKNOWN} stands for what is not there."),
        *(
            WarehouseColumn(name, type_of(schema.field(name).type), comments.get(name))
            for name in (dimension.key, *attributes(dimension, schema))
        ),
        WarehouseColumn(CONTENT, "bigint", "What the columns hold, hashed: tells whether a row has changed."),
    ]
    if dimension.changes == "keep":
        kind = "timestamp with time zone"
        if dimension.since and type_of(schema.field(dimension.since).type) != kind:
            kind = "timestamp without time zone"
        result += [
            WarehouseColumn("valid_from", kind, "The row holds from this time on."),
            WarehouseColumn("valid_until", kind, "The row holds until before this time; 9999-12-31 where no end is known."),
            WarehouseColumn("is_current", "boolean", "Whether no end is known."),
        ]
    return tuple(result)


def compute_change(
    dimension: Dimension, published_history: History, versions: Iterator[tuple[Version, float | None]], rows_of: DimensionRows
) -> DimensionChange:
    """Return the change that brings a dimension from its published history to that of further versions of its table.

    Parameters
    ----------
    published_history : the history in the warehouse
    versions : the versions in order, each with its time of publication
    rows_of : reads the versions' rows, from which new rows are taken
    """
    history_: History = {key: list(spans) for key, spans in published_history.items()}
    touched: set[object] = set()
    for version, at in versions:
        touched |= _step(dimension, history_, rows_of, version, at)
    return _difference(published_history, history_, touched, dimension.changes == "keep")


def _step(dimension: Dimension, history_: History, rows_of: DimensionRows, version: Version, at: float | None) -> set[object]:
    keys, contents = rows_of.of(version)
    touched = set()
    if dimension.since:
        moments = [_moment(value) for value in rows_of.table(version.number).column(dimension.since).to_pylist()]
        _once(dimension, list(zip(keys, moments, strict=True)))
        by_key: dict[object, list[Span]] = {}
        for index, (key, start, content) in enumerate(zip(keys, moments, contents, strict=True)):
            if start is None:
                raise StepFailed(
                    f"Dimension '{dimension.name}' has a row of '{key}' without '{dimension.since}'.",
                    fix="Set such rows aside where the table is made.",
                )
            by_key.setdefault(key, []).append(Span(start, END.replace(tzinfo=start.tzinfo), content, (version.number, index)))
        for key, spans in by_key.items():
            touched |= _set(history_, key, history.replace_states(history_.get(key, []), spans))
        return touched
    _once(dimension, keys)
    when = dt.datetime.fromtimestamp(at or 0.0, dt.UTC)
    for index, (key, content) in enumerate(zip(keys, contents, strict=True)):
        row = (version.number, index)
        if dimension.changes == "keep":
            touched |= _set(history_, key, history.add_observation(history_.get(key, []), content, when, row))
        else:
            touched |= _set(history_, key, [Span(history.FIRST, END, content, row)])
    for key in history_.keys() - set(keys):
        touched |= _set(history_, key, history.add_observation(history_[key], None, when) if dimension.changes == "keep" else [])
    return touched


def _set(history_: History, key: object, spans: list[Span]) -> set[object]:
    if history_.get(key, []) == spans:
        return set()
    history_[key] = spans
    return {key}


def _difference(published_history: History, history_: History, touched: set[object], dated: bool) -> DimensionChange:
    change = DimensionChange()
    for key in touched:
        old_spans = {history.surrogate(key, span.start if dated else None): span for span in published_history.get(key, [])}
        new_spans = {history.surrogate(key, span.start if dated else None): span for span in history_[key]}
        for number, span in new_spans.items():
            if number not in old_spans or old_spans[number].content != span.content:
                change.written[number] = (key, span)
            elif old_spans[number].until != span.until:
                change.moved[number] = span.until
        change.removed += [number for number in old_spans if number not in new_spans]
        if old_spans.keys() != new_spans.keys() or any(old_spans[number].until != new_spans[number].until for number in new_spans):
            change.touched.add(key)
    return change


class DimensionRows:
    """Rows of versions of a dimension's table, one version at a time, so that a long history needs no more memory than a short
    one."""

    def __init__(self, dimension: Dimension, names: list[str]) -> None:
        self.dimension, self.names = dimension, names
        self.versions: dict[int, Version] = {}
        self._read: tuple[int, pa.Table] | None = None

    def of(self, version: Version) -> tuple[list[object], list[int]]:
        """Return the keys and content digests of a version's rows."""
        self.versions[version.number] = version
        table = self.table(version.number)
        keys = table.column(self.dimension.key).to_pylist()
        if None in keys:
            raise StepFailed(
                f"Dimension '{self.dimension.name}' has a row without its key '{self.dimension.key}'.",
                fix=f'Set such rows aside: expect=[ex.not_null("{self.dimension.key}").quarantine()].',
            )
        return keys, contents(table, self.names)

    def table(self, number: int) -> pa.Table:
        """Return a version's rows; a column that was added later is null."""
        if self._read is None or self._read[0] != number:
            version = self.versions[number]
            existing = schema_of(version).names
            names = [self.dimension.key, *([self.dimension.since] if self.dimension.since else []), *self.names]
            table = arrow(version, [name for name in names if name in existing]).combine_chunks()
            for name in names:
                if name not in existing:
                    table = table.append_column(name, pa.nulls(table.num_rows))
            self._read = (number, table)
        return self._read[1]

    def taken(self, change: DimensionChange) -> Iterator[pa.Table]:
        """Yield the rows to insert, with surrogate keys and spans."""
        by_version: dict[int, list[int]] = {}
        for number, (_, span) in change.written.items():
            assert span.row is not None
            by_version.setdefault(span.row[0], []).append(number)
        for version, numbers in by_version.items():
            spans = [change.written[number][1] for number in numbers]
            rows = self.table(version).take(pa.array([span.row[1] for span in spans if span.row]))
            columns = {
                self.dimension.surrogate: pa.array(numbers, pa.int64()),
                self.dimension.key: rows.column(self.dimension.key),
                **{name: rows.column(name) for name in self.names},
                CONTENT: pa.array([span.content for span in spans], pa.int64()),
            }
            if self.dimension.changes == "keep":
                kind = pa.timestamp("us", tz="UTC" if spans[0].start.tzinfo else None)
                columns["valid_from"] = pa.array([span.start for span in spans], kind)
                columns["valid_until"] = pa.array([span.until for span in spans], kind)
                columns["is_current"] = pa.array([span.until.replace(tzinfo=None) == END for span in spans])
            yield pa.table(columns)


def contents(table: pa.Table, names: list[str]) -> list[int]:
    """Return a digest of each row's columns as a number; nulls do not count, so that a new column changes nothing."""
    texts = [(name.encode() + b"\x1f", _texts(table.column(name))) for name in sorted(names)]
    return [
        history.number_from_bytes(b"\x1e".join(name + text.encode() for name, column in texts if (text := column[row]) is not None))
        for row in range(table.num_rows)
    ]


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    """Return values as texts that do not depend on a library's version."""
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if t.is_floating(whole.type):
        return [None if value is None else repr(value) for value in whole.to_pylist()]
    if t.is_timestamp(whole.type):
        return list(whole.cast(pa.timestamp("us", tz=whole.type.tz)).cast(pa.int64()).cast(pa.string()).to_pylist())
    return list(copy_values(whole)[0].cast(pa.large_string()).to_pylist())


def _once(dimension: Dimension, keys: list[object]) -> None:
    repeated = [key for key, times in Counter(keys).items() if times > 1]
    if repeated:
        more = f" and {len(repeated) - 5:,} more" if len(repeated) > 5 else ""
        key_text = f"({dimension.key}, {dimension.since})" if dimension.since else dimension.key
        raise StepFailed(
            f"Dimension '{dimension.name}' cannot have the key {key_text}: there are several rows of {', '.join(map(_key_text, repeated[:5]))}{more}.",
            fix=f'Nothing was published. Judge it before: expect=[ex.unique("{dimension.key}").quarantine()].',
            duplicates=len(repeated),
        )


def _key_text(key: object) -> str:
    return f"({', '.join(map(str, key))})" if isinstance(key, tuple) else str(key)


def _moment(value: dt.date | None) -> dt.datetime | None:
    if value is None or isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC) if value is not None and value.tzinfo else value
    return dt.datetime(value.year, value.month, value.day)
