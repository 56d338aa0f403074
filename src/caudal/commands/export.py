"""``caudal export``: a table version as Parquet, Avro or CSV."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from deltalake import Schema

from caudal.commands.status import resolve_product
from caudal.declarations.settings import Settings
from caudal.engine.session import session
from caudal.errors import DeclarationProblem
from caudal.runtime.opening import open_home
from caudal.storage import delta
from caudal.storage.parquet import WRITTEN, dataset
from caudal.storage.place import spark_needs
from caudal.storage.storage_errors import translate_storage_errors
from caudal.tables.frames import version_frame
from caudal.tables.intact import check_small, name_damaged_file
from caudal.tables.resolve import resolve_version

if TYPE_CHECKING:
    from caudal.report.documents import ExportDocument


Format = Literal["parquet", "avro", "csv"]
ENDINGS = {".parquet": "parquet", ".avro": "avro", ".csv": "csv"}


def export(
    settings: Settings, table: str, to: Path, *, format: str | None = None, version: int | None = None, run_id: str | None = None,
    product: str | None = None,
) -> ExportDocument:  # fmt: skip
    """Write a table to ``to``, a file where the name has an ending and else a folder, and return what was written."""
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        name = resolve_product(home, ledger, product)
        snapshot = resolve_version(home, ledger, name, table, version, run_id)
    format_name = format or ENDINGS.get(to.suffix.lower(), "" if to.suffix else "parquet")
    if not format_name:
        raise DeclarationProblem(
            f"Tables are not written as '{to.suffix}'.", fix=f"Endings are {', '.join(ENDINGS)}; or pass --format."
        )
    if to.exists() and (to.is_dir() and any(to.iterdir())):
        raise DeclarationProblem(f"'{to}' is there already and not empty.", fix="Give another name, or remove it.")
    to.parent.mkdir(parents=True, exist_ok=True)
    if format_name == "avro":
        _avro(settings, snapshot, to)
    else:
        _arrow(snapshot, to, format_name)
    return {
        "product": name,
        "table": table,
        "version": snapshot.number,
        "rows": snapshot.rows,
        "format": cast("Format", format_name),
        "to": str(to),
    }


def _arrow(version: delta.Version, to: Path, kind: str) -> None:
    """Write a table with Arrow, batch by batch: without a JVM, in the memory of one batch."""
    stored_schema = pa.schema(Schema.from_json(json.dumps(dict(version.schema))).to_arrow())
    schema = pa.schema([field for field in stored_schema if field.name != delta.DAY])
    paths = version.paths()
    check_small(version, paths)
    target = to if to.suffix else to / f"part-0.{kind}"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    with (
        translate_storage_errors(version.folder),
        name_damaged_file(lambda: paths, f"Table '{version.folder.name}'"),
        pc.CSVWriter(temporary, schema) if kind == "csv" else pq.ParquetWriter(temporary, schema, **WRITTEN) as writer,
    ):
        for batch in dataset(paths, schema).to_batches() if paths else ():
            writer.write_batch(batch)
    temporary.replace(target)


def _avro(settings: Settings, version: delta.Version, to: Path) -> None:
    """Write a table with Spark's Avro writer; a single file where ``to`` has an ending."""
    connectors, conf = spark_needs(version.folder)
    spark = session(
        connectors=frozenset({"avro"}) | connectors, cores=settings.cores, memory=settings.memory, conf=conf | dict(settings.spark)
    )
    rows = version_frame(spark, version)
    if not to.suffix:
        rows.write.format("avro").mode("overwrite").save(str(to))
        return
    temporary = to.with_name(f".{to.name}.parts")
    rows.coalesce(1).write.format("avro").mode("overwrite").save(str(temporary))
    next(temporary.glob("part-*.avro")).replace(to)
    shutil.rmtree(temporary)
