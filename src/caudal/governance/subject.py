"""One person's rows: by which columns they are known, and where they lie."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, EnvironmentProblem, NotThere, nearest
from caudal.governance.held import Held
from caudal.governance.identity import TIMES, Person
from caudal.governance.raw_kinds import raw_kind, without_subject
from caudal.governance.stream_logs import log_of
from caudal.graph.registered import is_streamed
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.runtime.column_lineage import flows
from caudal.storage import delta
from caudal.storage.parquet import read
from caudal.storage.place import Place, below, local, source as opened
from caudal.tables import erased, lifespans
from caudal.tables.home import Home
from caudal.tables.landing import store_path
from caudal.tables.raw_records import Is, RawKind, Written, bears

QUARANTINE, RAW = "_quarantine", "_raw"


def person(product: Product, text: str) -> Person:
    """Return the subject that ``column=value`` names.

    Raises
    ------
    DeclarationProblem : it is not of that form, or the column is not declared as one that names a person
    """
    column, equals, value = text.partition("=")
    column = column.strip()
    if not equals or not column or not value:
        raise DeclarationProblem(f"'{text}' names no subject.", fix="Write --subject 'customer_id=42'.")
    known = [subject.column for subject in product.subjects]
    if column not in known:
        raise DeclarationProblem(
            f"'{column}' is not declared as a column that names a person.", nearest=nearest(column, known),
            fix=f'Declare it: product.subject("{column}").', where=str(product.where),
        )  # fmt: skip
    return Person(column, value)


def columns_of(product: Product, home: Home, ledger: Ledger, who: Person) -> dict[str, set[str]]:
    """Return the columns that bear the subject's value, by table: by their declared name, and by lineage where it goes on unchanged."""
    said = next(subject for subject in product.subjects if subject.column == who.column)
    found: dict[str, set[str]] = {}
    for name, folder, _ in places(home, product.name):
        if who.column in fields_of(delta.read(folder).schema) and (not said.tables or name in said.tables):
            found.setdefault(name, set()).add(who.column)
    for name, node in product.sources.items():
        if node.schema is not None and who.column in node.schema and (not said.tables or name in said.tables):
            found.setdefault(name, set()).add(who.column)
    start = {(table, column) for table, columns in found.items() for column in columns}
    for table, carried in flows(product, ledger, start).items():
        found.setdefault(table, set()).update(carried)
    return found


def places(home: Home, product: str) -> Iterator[tuple[str, Place, bool]]:
    """Yield every Delta table that lies in the product's lake, declared or not: name, folder, whether it is of quarantined rows."""
    lake = home.table(product, "x").parent
    for above, aside in ((lake, False), (lake / QUARANTINE, True)):
        folders: list[Place] = sorted(above.iterdir(), key=str) if above.is_dir() else []
        for folder in folders:
            if delta.version_of(folder) is not None:
                yield folder.name, folder, aside


def search(product: Product, home: Home, ledger: Ledger, who: Person) -> tuple[list[Held], dict[str, int], list[str]]:
    """Return where the subject's rows lie, how many files were searched of which place, and what could not be searched."""
    columns = columns_of(product, home, ledger, who)
    held: list[Held] = []
    searched: dict[str, int] = {}
    not_searched: list[str] = []
    for name, node in product.sources.items():
        if is_streamed(product, name):
            if home.stream(product.name, name).is_dir() and name in columns:
                held += log_of(home, product, node, who, columns[name], searched, not_searched)
        elif name in columns:
            held += _raw(home, ledger, product, node, who, columns[name], searched, not_searched)
    held += search_tables(product, home, who, columns, searched, not_searched)
    return held, searched, not_searched


def search_tables(
    product: Product, home: Home, who: Person, columns: dict[str, set[str]], searched: dict[str, int], not_searched: list[str]
) -> Iterator[Held]:
    """Yield where the subject's rows lie in tables of the lake, quarantine included."""
    for name, folder, aside in places(home, product.name):
        if name in columns:
            label = f"{QUARANTINE}/{name}" if aside else name
            raw = {raw_column(product.sources[name], column) for column in columns[name]} if name in product.sources else set()
            kind = kind_of(product, home, name, columns[name])
            if not who.is_exact_in(kind):
                not_searched.append(f"{label}: its column is a {kind}, which does not tell {who.column}s of so many digits apart")
            yield from _table(folder, label, aside, columns[name] | raw, who, searched, kind)


def kind_of(product: Product, home: Home, name: str, columns: set[str]) -> str | None:
    """Return the type that a source's text is read as in a column: as its table has it, else as it is declared."""
    folder = home.table(product.name, name)
    if delta.version_of(folder) is not None:
        kinds = (field["type"] for field in delta.read(folder).schema["fields"] if field["name"] in columns)
        return next((kind for kind in kinds if isinstance(kind, str)), None)
    source = product.sources.get(name)
    return next((column.type for column in (source.schema or () if source else ()) if column.name in columns), None)


def raw_column(source: Source, column: str) -> str:
    """Return what a source's raw files call a column."""
    return next((one.raw_name for one in source.schema or () if one.name == column), column)


def in_raw(product: Product, home: Home, source: Source, who: Person, columns: set[str]) -> list[tuple[str, Is]]:
    """Return what a source's raw files call columns, and what tells the subject's values there."""
    return [(raw_column(source, column), who.raw(kind_of(product, home, source.name, {column}))) for column in sorted(columns)]


def _raw(
    home: Home,
    ledger: Ledger,
    product: Product,
    source: Source,
    who: Person,
    columns: set[str],
    searched: dict[str, int],
    not_searched: list[str],
) -> Iterator[Held]:
    folder, scratch = home.raw(product.name, source.name), home.scratch(product.name)
    asked = in_raw(product, home, source, who, columns)
    if pattern := _time_pattern(source, kind_of(product, home, source.name, columns)):
        not_searched.append(
            f"raw files of {source.name}: their {who.column} is written as '{pattern}', which an erasure does not read"
        )
    rows = {row["sha256"]: row for row in ledger.find(landed, product=product.name, source=source.name)}
    searched[f"raw/{source.name}"] = len(rows)
    for row in rows.values():
        try:
            file, kind = local(store_path(folder, row["sha256"], row["path"]), scratch), raw_kind(source, row, scratch)
            count = next((count for column, is_subject in asked if (count := erased.count(file, kind, column, is_subject))), 0)
        except Exception as error:  # noqa: BLE001 a raw file may be anything; what cannot be read is said, not passed over
            not_searched.append(f"raw file {row['sha256'][:16]} of {source.name} ({row['path']}): {error}")
            continue
        if count:
            yield Held("raw", source.name, row["sha256"], count, True, row, _stays(file, kind, asked, scratch))
    for left in erased.leftovers(folder, ledger, product.name, source.name):
        yield Held("raw", source.name, below(left, folder).as_posix(), 0, False)


def _time_pattern(source: Source, kind: str | None) -> str | None:
    """Return the pattern that a source's dates or times are written by, where a column of that type is read by one."""
    if kind not in TIMES:
        return None
    pattern = getattr(source.connection, "options", {}).get("date_format" if kind == "date" else "timestamp_format")
    return None if pattern is None else str(pattern)


def _stays(file: Path, kind: RawKind, asked: Sequence[tuple[str, Is]], scratch: Path) -> str | None:
    """Return why a raw file cannot be written without the subject's rows; only of workbooks and archives this is known by trying."""
    if kind.edit is None:
        return None
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as held:
        try:
            without_subject(file, Path(held) / f"tried{''.join(file.suffixes[-2:])}", kind, asked)
        except (NotThere, EnvironmentProblem) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 a library's sentence may repeat what a cell says
            return f"writing it ends with {type(error).__name__}"
    return None


def _table(
    folder: Place, name: str, aside: bool, columns: set[str], who: Person, searched: dict[str, int], kind: str | None
) -> Iterator[Held]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    now = {unquote(file.path) for file in delta.read(folder).files}
    files = [lifespan.path for lifespan in lifespans.lifespans(folder)[0] if (folder / lifespan.path).is_file()]
    searched[name] = len(files)
    for path in files:
        names = pq.read_schema(opened(folder / path))
        wanted = [
            name.name for name in names if name.name in columns or pa.types.is_nested(name.type) or (aside and name.name == RAW)
        ]
        count = pc.sum(holding(read(folder / path, wanted), columns, who, kind)).as_py() or 0
        if count:
            yield Held("quarantine" if aside else "table", name, path, count, path in now)


def holding(rows: Any, columns: set[str], who: Person, kind: str | None = None) -> Any:
    """Return for each row whether it is the subject's, in a column or within one; of quarantined ones, the raw values are looked at too.

    Parameters
    ----------
    kind : the type of the source's column, that text which was set aside is read as
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pa.array([False] * len(rows), pa.bool_())
    for name in rows.column_names:
        if name == RAW:
            raw = (_said_of(text, columns, who, kind) for text in rows.column(name).to_pylist())
            mask = pc.or_(mask, pa.array(list(raw), pa.bool_()))
        else:
            mask = pc.or_(mask, erased.which(rows.column(name), name, columns, who.is_it))
    return mask


def _said_of(raw: str | None, columns: set[str], who: Person, kind: str | None) -> bool:
    try:
        row = json.loads(raw or "null", parse_int=Written, parse_float=Written)
    except ValueError:
        return False
    return isinstance(row, dict) and bears(row, columns, lambda value: who.is_written(value, kind))


def fields_of(schema: Any) -> set[str]:
    """Return the names of a Delta schema's columns and of the fields within them."""
    if isinstance(schema, dict):
        inner = set().union(*(fields_of(schema.get(part)) for part in ("type", "elementType", "keyType", "valueType")))
        return inner.union(*({field["name"]} | fields_of(field) for field in schema.get("fields", ())))
    return set()
