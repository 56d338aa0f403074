"""Databases and tables that the session's catalog names, with their places."""

from __future__ import annotations

from typing import Any, Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.metastore import metastore_settings, not_made
from caudal.inspection.scope import InspectionScope
from caudal.inspection.session import session_jvm, session_setting

ORDER = 160


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the databases with their number of tables, and the tables by name."""
    spark = scope.spark
    if spark is None:
        yield not_known("databases", "Databases", scope.spark_missing)
        return
    if session_jvm(scope) is not None and session_setting(scope, "spark.sql.catalogImplementation") == "hive":
        reason = not_made(scope, metastore_settings(scope))
        if reason is not None:
            yield not_known("databases", "Databases", reason)
            return
    databases = spark.catalog.listDatabases()
    rows: list[dict[str, Any]] = []
    tables: list[dict[str, Any]] = []
    left_out = 0
    for database in sorted(databases, key=lambda database: str(database.name)):
        names = _tables(spark, str(database.name))
        place = str(getattr(database, "locationUri", None) or "")
        rows.append({"database": database.name, "tables": len(names), "place": place})
        shown = names[: max(0, scope.tables - len(tables))]
        tables += [{"database": database.name, "table": name} for name in shown]
        left_out += len(names) - len(shown)
    yield known("databases", "Databases", rows or "none", "catalog.listDatabases, SHOW TABLES")
    if tables or not left_out:
        yield known("tables", "Tables", tables or "none", "SHOW TABLES in each database; temporary views are left out")
    if left_out:
        yield known("more_tables", "More tables", left_out, f"only the first {scope.tables} are listed")


def _tables(spark: Any, database: str) -> list[str]:
    quoted = database.replace("`", "``")
    listed = spark.sql(f"SHOW TABLES IN `{quoted}`").collect()
    return sorted(row["tableName"] for row in listed if not row["isTemporary"])


PROBE = InspectionProbe("catalog", "Databases and tables", findings)
