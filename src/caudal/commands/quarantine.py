"""``caudal quarantine``: list quarantined rows with their reasons, correct them and judge them again."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from caudal.batch.batch import run
from caudal.batch.result import RunResult
from caudal.commands.status import known_products, resolve_product
from caudal.declarations.node import Source
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere, nearest
from caudal.graph.load import load
from caudal.ledger.records import landed
from caudal.runtime.lifecycle import new_run_id
from caudal.runtime.opening import hold_product, open_home
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.progress import Progress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables import corrections
from caudal.tables.frames import arrow, version_frame
from caudal.tables.home import Home
from caudal.tables.landing import land

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from caudal.report.documents import QuarantineCount, QuarantinedRow


def count_quarantined(settings: Settings, product: str | None = None) -> list[QuarantineCount]:
    """Return the number of rows in quarantine by product, table and reason; a row counts under each of its reasons."""
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        names = [resolve_product(home, ledger, product)] if product else known_products(ledger)
    rows: list[QuarantineCount] = []
    for name in names:
        for table in _tables(home, name):
            reasons = arrow(delta.read_version(home.quarantine(name, table)), ["_reasons"]).column("_reasons").to_pylist()
            counts = Counter(reason for row_reasons in reasons for reason in row_reasons or ["unknown"])
            rows += [{"product": name, "table": table, "reason": reason, "rows": count} for reason, count in counts.most_common()]
    return rows


def show(
    settings: Settings, table: str, *, reason: str | None = None, limit: int = 20, product: str | None = None
) -> list[QuarantinedRow]:
    """Return quarantined rows of a table: reasons, the file they came from, raw values."""
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        name = resolve_product(home, ledger, product)
        version = _quarantined(home, name, table)
        files = {row["sha256"][:16]: row["path"] for row in ledger.find(landed, product=name)}
    columns = [field["name"] for field in version.schema["fields"]]
    rows = arrow(version, [name for name in ("_reasons", "_raw", "_file") if name in columns])
    if reason:
        rows = rows.filter(pc.match_substring(pc.binary_join(rows.column("_reasons"), "; "), reason))
    return [
        {"reasons": row["_reasons"], "file": files.get(row.get("_file", ""), row.get("_file")), "raw": row["_raw"]}
        for row in rows.slice(0, limit).to_pylist()
    ]


def replay_quarantine(
    folder: Path, settings: Settings, table: str, sets: Sequence[str], *, reason: str | None = None, where: str | None = None,
    progress: Progress | None = None,
) -> RunResult:  # fmt: skip
    """Judge quarantined rows again and bring the product up to date.

    Without ``sets`` the rows are judged unchanged, for use after the product's expectations were changed. With
    ``sets`` (``column = SQL expression``) the rows that match are corrected; the corrections are landed as a raw file of the
    source, and replace the rows that they correct.
    """
    product = load(folder)
    home = open_home(settings)
    if sets:
        node = product.sources.get(table)
        if node is None:
            among = ", ".join(product.sources)
            raise DeclarationProblem(
                f"'{table}' is not a source, so its rows cannot be corrected by hand.",
                fix=f"Correct the rows of a source ({among}), or correct the table's function and run again.",
                table=table,
            )
        with contextlib.closing(home.ledger()) as ledger, hold_product(home, ledger, product):
            ws = Workspace.compose(product, home, settings, RunRecord(product.name, ledger, new_run_id()))
            _correct(ws.record, ws.tables, ws.spark.session, node, [_assignment(set_) for set_ in sets], reason, where)
    else:
        _quarantined(home, product.name, table)
    return run(folder, settings, progress=progress)


@dataclass(frozen=True)
class _Correction:
    """A file of corrections that is about to be landed."""

    path: str
    local: Path
    bytes: int
    modified_ns: int
    etag: str | None = None


def _correct(
    record: RunRecord,
    tables: ProductTables,
    spark: SparkSession,
    source: Source,
    sets: list[tuple[str, str]],
    reason: str | None,
    where: str | None,
) -> None:
    """Land corrected copies of the quarantined rows that match."""
    from pyspark.sql import functions as F

    version = _quarantined(tables.home, tables.product.name, source.name)
    rows = version_frame(spark, version)
    columns = [name for name in rows.columns if not name.startswith("_")]
    for column, _ in sets:
        if column not in columns:
            raise DeclarationProblem(
                f"'{source.name}' has no column '{column}'.", nearest=nearest(column, columns), fix=f"It has {', '.join(columns)}."
            )
    matching = rows.withColumn("_key", corrections.row_key(columns))
    if reason:
        matching = matching.where(F.exists("_reasons", lambda text: text.contains(reason)))
    if where:
        matching = matching.where(where)
    keys = [row["_key"] for row in matching.select("_key").distinct().collect()]
    if not keys:
        raise NotThere(f"No quarantined row of '{source.name}' matches.", fix=f"Look at them: caudal quarantine show {source.name}")
    # Rows with equal values in every column cannot be distinguished, so they are corrected together.
    selected = rows.withColumn("_key", corrections.row_key(columns)).where(F.col("_key").isin(keys))
    good_count = (
        tables.frame(spark, source.name).withColumn("_key", corrections.row_key(columns)).where(F.col("_key").isin(keys)).count()
    )
    if good_count:
        raise DeclarationProblem(
            f"{good_count} good rows of '{source.name}' are alike to the last value with rows to be corrected.",
            fix="Narrow it down with --where or --reason.",
        )
    segments = [row["_file"] for row in selected.select("_file").distinct().collect()]
    corrected = selected.withColumns({column: F.expr(expression) for column, expression in sets})
    raw_names = {field.name: field.raw_name for field in source.schema or ()}
    corrected = corrected.select(*[F.col(name).alias(raw_names.get(name, name)) for name in columns])
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / f"corrections-{record.run_id}.parquet"
        corrections.write_corrections(corrected.toArrow(), keys, segments, file)
        correction = _Correction(f"corrections/{file.name}", file, file.stat().st_size, file.stat().st_mtime_ns)
        land(
            [correction],
            tables.home,
            record.ledger,
            product=tables.product.name,
            source=source.name,
            run_id=record.run_id,
            kind="correction",
        )


def _assignment(text: str) -> tuple[str, str]:
    column, equals, expression = text.partition("=")
    if not equals or not column.strip() or not expression.strip():
        raise DeclarationProblem(
            f"'{text}' is not a correction.", fix="Write --set 'column = SQL expression', such as --set 'fare = abs(fare)'."
        )
    return column.strip(), expression.strip()


def _tables(home: Home, product: str) -> list[str]:
    folder = home.quarantines(product)
    return sorted(entry.name for entry in folder.iterdir() if delta.version_of(entry) is not None) if folder.is_dir() else []


def _quarantined(home: Home, product: str, table: str) -> delta.Version:
    tables = _tables(home, product)
    if table not in tables:
        raise NotThere(
            f"Nothing of '{table}' has ever been in quarantine.",
            nearest=nearest(table, tables),
            fix=f"Tables with quarantined rows: {', '.join(tables) or 'none'}.",
        )
    return delta.read_version(home.quarantine(product, table))
