"""One person's rows: the columns that identify them, and the places that hold them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, EnvironmentProblem, NotThere, nearest
from caudal.governance.held import Occurrence
from caudal.governance.identity import TIMES, Person
from caudal.governance.online_views import search_views
from caudal.governance.raw_kinds import raw_kind, without_subject
from caudal.governance.request_files import columns_in_files, request_sources, search_requests
from caudal.governance.stream_logs import log_of
from caudal.graph.registered import is_streamed
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.runtime.column_lineage import flows
from caudal.storage import delta
from caudal.storage.parquet import read_parquet
from caudal.storage.place import Place, local, readable, relative_path
from caudal.tables import erased, lifespans
from caudal.tables.home import Home
from caudal.tables.landing import store_path
from caudal.tables.raw_records import Is, RawKind, WrittenNumber, has_subject

QUARANTINE, RAW = "_quarantine", "_raw"


def parse_subject(product: Product, text: str) -> Person:
    """Return the subject that ``column=value`` names.

    Raises
    ------
    DeclarationProblem : the text has another form, or the column is not declared as one that identifies a person
    """
    column, equals, value = text.partition("=")
    column = column.strip()
    if not equals or not column or not value:
        raise DeclarationProblem(f"'{text}' names no subject.", fix="Write --subject 'customer_id=42'.")
    declared = [subject.column for subject in product.subjects]
    if column not in declared:
        raise DeclarationProblem(
            f"'{column}' is not declared as a column that names a person.", nearest=nearest(column, declared),
            fix=f'Declare it: product.subject("{column}").', where=str(product.where),
        )  # fmt: skip
    return Person(column, value)


def columns_of_subject(product: Product, home: Home, ledger: Ledger, who: Person) -> dict[str, set[str]]:
    """Return the columns that hold the subject's value, by table: by declared name, and by lineage where the value is carried
    unchanged."""
    declared = next(subject for subject in product.subjects if subject.column == who.column)
    columns_by_table: dict[str, set[str]] = {}
    for name, folder, _ in places(home, product.name):
        if who.column in fields_of(delta.read_version(folder).schema) and (not declared.tables or name in declared.tables):
            columns_by_table.setdefault(name, set()).add(who.column)
    for name, node in product.sources.items():
        if node.schema is not None and who.column in node.schema and (not declared.tables or name in declared.tables):
            columns_by_table.setdefault(name, set()).add(who.column)
    for name in request_sources(product):
        if who.column in columns_in_files(home, product, name) and (not declared.tables or name in declared.tables):
            columns_by_table.setdefault(name, set()).add(who.column)
    start = {(table, column) for table, columns in columns_by_table.items() for column in columns}
    for table, carried in flows(product, ledger, start).items():
        columns_by_table.setdefault(table, set()).update(carried)
    return columns_by_table


def places(home: Home, product: str) -> Iterator[tuple[str, Place, bool]]:
    """Yield every Delta table in the product's lake, declared or not: name, folder, whether it is a quarantine table."""
    lake = home.table(product, "x").parent
    for parent, is_quarantine in ((lake, False), (lake / QUARANTINE, True)):
        folders: list[Place] = sorted(parent.iterdir(), key=str) if parent.is_dir() else []
        for folder in folders:
            if delta.version_of(folder) is not None:
                yield folder.name, folder, is_quarantine


def search_subject(product: Product, home: Home, ledger: Ledger, who: Person) -> tuple[list[Occurrence], dict[str, int], list[str]]:
    """Return the places of the subject's rows, the number of searched files by place, and what could not be searched."""
    columns = columns_of_subject(product, home, ledger, who)
    occurrences: list[Occurrence] = []
    searched: dict[str, int] = {}
    not_searched: list[str] = []
    for name, node in product.sources.items():
        if is_streamed(product, name):
            if home.stream(product.name, name).is_dir() and name in columns:
                occurrences += log_of(home, product, node, who, columns[name], searched, not_searched)
        elif name in columns:
            occurrences += _raw(home, ledger, product, node, who, columns[name], searched, not_searched)
    occurrences += search_tables(product, home, who, columns, searched, not_searched)
    occurrences += search_requests(product, home, who, columns, searched, not_searched)
    occurrences += search_views(product, home, who, columns, searched, not_searched)
    return occurrences, searched, not_searched


def search_tables(
    product: Product, home: Home, who: Person, columns: dict[str, set[str]], searched: dict[str, int], not_searched: list[str]
) -> Iterator[Occurrence]:
    """Yield the places of the subject's rows in the lake's tables, quarantine included."""
    for name, folder, is_quarantine in places(home, product.name):
        if name in columns:
            label = f"{QUARANTINE}/{name}" if is_quarantine else name
            raw = {raw_column(product.sources[name], column) for column in columns[name]} if name in product.sources else set()
            kind = column_type(product, home, name, columns[name])
            if not who.is_exact_in(kind):
                not_searched.append(f"{label}: its column is a {kind}, which does not tell {who.column}s of so many digits apart")
            yield from _table(folder, label, is_quarantine, columns[name] | raw, who, searched, kind)


def column_type(product: Product, home: Home, name: str, columns: set[str]) -> str | None:
    """Return the type as which a source's text is read in a column: that of its table, else the declared one."""
    folder = home.table(product.name, name)
    if delta.version_of(folder) is not None:
        kinds = (field["type"] for field in delta.read_version(folder).schema["fields"] if field["name"] in columns)
        return next((kind for kind in kinds if isinstance(kind, str)), None)
    source = product.sources.get(name)
    return next((column.type for column in (source.schema or () if source else ()) if column.name in columns), None)


def raw_column(source: Source, column: str) -> str:
    """Return a column's name in a source's raw files."""
    return next((declared.raw_name for declared in source.schema or () if declared.name == column), column)


def in_raw(product: Product, home: Home, source: Source, who: Person, columns: set[str]) -> list[tuple[str, Is]]:
    """Return the columns' names in a source's raw files, each with the test for the subject's values."""
    return [(raw_column(source, column), who.raw(column_type(product, home, source.name, {column}))) for column in sorted(columns)]


def _raw(
    home: Home,
    ledger: Ledger,
    product: Product,
    source: Source,
    who: Person,
    columns: set[str],
    searched: dict[str, int],
    not_searched: list[str],
) -> Iterator[Occurrence]:
    folder, scratch = home.raw(product.name, source.name), home.scratch(product.name)
    raw_columns = in_raw(product, home, source, who, columns)
    if pattern := _time_pattern(source, column_type(product, home, source.name, columns)):
        not_searched.append(
            f"raw files of {source.name}: their {who.column} is written as '{pattern}', which an erasure does not read"
        )
    rows = {row["sha256"]: row for row in ledger.find(landed, product=product.name, source=source.name)}
    searched[f"raw/{source.name}"] = len(rows)
    for row in rows.values():
        try:
            file, kind = local(store_path(folder, row["sha256"], row["path"]), scratch), raw_kind(source, row, scratch)
            count = next(
                (
                    count
                    for column, is_subject in raw_columns
                    if (count := erased.count_subject_rows(file, kind, column, is_subject))
                ),
                0,
            )
        except Exception as error:  # noqa: BLE001 a raw file may be anything; what cannot be read is reported, not skipped
            not_searched.append(f"raw file {row['sha256'][:16]} of {source.name} ({row['path']}): {error}")
            continue
        if count:
            yield Occurrence("raw", source.name, row["sha256"], count, True, row, _stays(file, kind, raw_columns, scratch))
    for file_ in erased.leftovers(folder, ledger, product.name, source.name):
        yield Occurrence("raw", source.name, relative_path(file_, folder).as_posix(), 0, False)


def _time_pattern(source: Source, kind: str | None) -> str | None:
    """Return the pattern by which a source's dates or times are written, if a column of that type is read by one."""
    if kind not in TIMES:
        return None
    pattern = getattr(source.connection, "options", {}).get("date_format" if kind == "date" else "timestamp_format")
    return None if pattern is None else str(pattern)


def _stays(file: Path, kind: RawKind, raw_columns: Sequence[tuple[str, Is]], scratch: Path) -> str | None:
    """Return why a raw file cannot be written without the subject's rows, or None; for workbooks and archives, try it."""
    if kind.edit is None:
        return None
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        try:
            without_subject(file, Path(temporary) / f"tried{''.join(file.suffixes[-2:])}", kind, raw_columns)
        except (NotThere, EnvironmentProblem) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 a library's message may contain a cell's value
            return f"writing it ends with {type(error).__name__}"
    return None


def _table(
    folder: Place, name: str, is_quarantine: bool, columns: set[str], who: Person, searched: dict[str, int], kind: str | None
) -> Iterator[Occurrence]:
    current_paths = {unquote(file.path) for file in delta.read_version(folder).files}
    files = [lifespan.path for lifespan in lifespans.lifespans(folder)[0] if (folder / lifespan.path).is_file()]
    searched[name] = len(files)
    for path in files:
        names = pq.read_schema(readable(folder / path))
        searched_columns = [
            name.name
            for name in names
            if name.name in columns or pa.types.is_nested(name.type) or (is_quarantine and name.name == RAW)
        ]
        count = pc.sum(subject_mask(read_parquet(folder / path, searched_columns), columns, who, kind)).as_py() or 0
        if count:
            yield Occurrence("quarantine" if is_quarantine else "table", name, path, count, path in current_paths)


def subject_mask(rows: pa.Table | pa.RecordBatch, columns: set[str], who: Person, kind: str | None = None) -> pa.BooleanArray:
    """Return the mask of the subject's rows, by columns or nested fields; in a quarantine table, the raw values are searched too.

    Parameters
    ----------
    kind : the type of the source's column, as which quarantined text is read
    """
    mask = pa.array([False] * len(rows), pa.bool_())
    for name in rows.column_names:
        if name == RAW:
            raw = (_raw_row_matches(text, columns, who, kind) for text in rows.column(name).to_pylist())
            mask = pc.or_(mask, pa.array(list(raw), pa.bool_()))
        else:
            mask = pc.or_(mask, erased.array_mask(rows.column(name), name, columns, who.is_it))
    return mask


def _raw_row_matches(raw: str | None, columns: set[str], who: Person, kind: str | None) -> bool:
    try:
        row = json.loads(raw or "null", parse_int=WrittenNumber, parse_float=WrittenNumber)
    except ValueError:
        return False
    return isinstance(row, dict) and has_subject(row, columns, lambda value: who.is_written(value, kind))


def fields_of(schema: object) -> set[str]:
    """Return the names of a Delta schema's columns and of their nested fields."""
    if isinstance(schema, dict):
        inner = set().union(*(fields_of(schema.get(part)) for part in ("type", "elementType", "keyType", "valueType")))
        return inner.union(*({field["name"]} | fields_of(field) for field in schema.get("fields", ())))
    return set()
