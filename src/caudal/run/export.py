"""``caudal export``: a table version as Parquet, Avro or CSV."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from caudal.errors import DeclarationProblem, NotThere, nearest
from caudal.lake import delta
from caudal.lake.away import answering
from caudal.lake.damage import damaged
from caudal.lake.home import Home
from caudal.lake.intact import check_small, reading
from caudal.lake.ledger import Ledger
from caudal.lake.place import place, spark_needs
from caudal.lake.records import runs, steps
from caudal.run.opening import opened
from caudal.run.status import the_product
from caudal.spec.settings import Settings

ENDINGS = {".parquet": "parquet", ".avro": "avro", ".csv": "csv"}


def export(
    settings: Settings, table: str, to: Path, *, format: str | None = None, version: int | None = None, run_id: str | None = None,
    product: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write a table to ``to``: a file where the name has an ending, a folder else. Returns what was written."""
    home = opened(settings)
    with contextlib.closing(home.ledger()) as ledger:
        name = the_product(home, ledger, product)
        found = resolved(home, ledger, name, table, version, run_id)
    kind = format or ENDINGS.get(to.suffix.lower(), "" if to.suffix else "parquet")
    if not kind:
        raise DeclarationProblem(
            f"Tables are not written as '{to.suffix}'.", fix=f"Endings are {', '.join(ENDINGS)}; or pass --format."
        )
    if to.exists() and (to.is_dir() and any(to.iterdir())):
        raise DeclarationProblem(f"'{to}' is there already and not empty.", fix="Give another name, or remove it.")
    to.parent.mkdir(parents=True, exist_ok=True)
    if kind == "avro":
        _avro(settings, found, to)
    else:
        _arrow(found, to, kind)
    return {"product": name, "table": table, "version": found.number, "rows": found.rows, "format": kind, "to": str(to)}


def resolved(home: Home, ledger: Ledger, product: str, table: str, version: int | None, run_id: str | None) -> delta.Version:
    """Return the version asked for: by number, as a run left it, or the newest.

    Raises
    ------
    NotThere : there is no such table, version or run
    StorageDamaged : the table was published, and its log is gone
    """
    folder = home.table(product, table)
    if delta.version_of(folder) is None:
        published = any(row["output_version"] is not None for row in ledger.find(steps, product=product, name=table))
        if published and folder.is_dir():
            raise damaged(
                f"The log of table '{table}' is gone: '{folder / '_delta_log'}' holds no entry, and the ledger knows of versions.",
                "Put the log back from a backup; `caudal run` makes the table again from its inputs, as its first version.",
                table=table,
            )
        among = [entry.name for entry in folder.parent.iterdir() if entry.name != "_quarantine"] if folder.parent.is_dir() else []
        raise NotThere(
            f"Product '{product}' has published no table '{table}'.",
            nearest=nearest(table, among),
            fix=f"It has {', '.join(sorted(among)) or 'none yet'}.",
        )
    if run_id is not None:
        version = _as_of_run(ledger, product, table, run_id)
    found = delta.read(folder, version)
    if version is not None and any(not place(path).exists() for path in found.paths()):
        raise NotThere(
            f"Version {found.number} of '{table}' is not kept any more: files of it were deleted by retention or erasure.",
            fix="Take a newer version.",
            table=table,
        )
    return found


def _as_of_run(ledger: Ledger, product: str, table: str, run_id: str) -> int:
    rows = [row for row in ledger.find(steps, product=product, name=table) if row["output_version"] is not None]
    order = {row["run_id"]: int(row["seq"]) for row in ledger.find(runs, product=product)}
    until = order.get(run_id, 0)
    at = [row for row in rows if order.get(row["run_id"], until) <= until]
    if not at or not ledger.find(steps, product=product, run_id=run_id):
        left = {row["run_id"] for row in rows}
        known = [name for name in order if name in left]
        raise NotThere(
            f"No run '{run_id}' has left a table '{table}'.",
            nearest=nearest(run_id, known),
            fix=f"Runs are: {', '.join(known[-5:])}.",
        )
    return int(at[-1]["output_version"])


def _arrow(version: delta.Version, to: Path, kind: str) -> None:
    """Write by Arrow, batch by batch: no JVM, and no more memory than a batch."""
    import json

    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq
    from deltalake import Schema

    from caudal.lake.parquet import WRITTEN, dataset

    whole = pa.schema(Schema.from_json(json.dumps(dict(version.schema))).to_arrow())
    schema = pa.schema([field for field in whole if field.name != delta.DAY])
    paths = version.paths()
    check_small(version, paths)
    target = to if to.suffix else to / f"part-0.{kind}"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    with (
        answering(version.folder),
        reading(lambda: paths, f"Table '{version.folder.name}'"),
        pc.CSVWriter(temporary, schema) if kind == "csv" else pq.ParquetWriter(temporary, schema, **WRITTEN) as writer,
    ):
        for batch in dataset(paths, schema).to_batches() if paths else ():
            writer.write_batch(batch)
    temporary.replace(target)


def _avro(settings: Settings, version: delta.Version, to: Path) -> None:
    """Write by Spark's Avro writer; one file where ``to`` has an ending."""
    from caudal.lake.frames import frame
    from caudal.spark.session import session

    connectors, conf = spark_needs(version.folder)
    spark = session(
        connectors=frozenset({"avro"}) | connectors, cores=settings.cores, memory=settings.memory, conf=conf | dict(settings.spark)
    )
    rows = frame(spark, version)
    if not to.suffix:
        rows.write.format("avro").mode("overwrite").save(str(to))
        return
    temporary = to.with_name(f".{to.name}.parts")
    rows.coalesce(1).write.format("avro").mode("overwrite").save(str(temporary))
    next(temporary.glob("part-*.avro")).replace(to)
    shutil.rmtree(temporary)
