"""Write ``registry/mlflow_schema.sql`` from the installed MLflow: ``python tools/mlflow_schema.py``. A test holds the two together."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from caudal.registry.mlflow_rows import SCHEMA, migrations_digest


def schema() -> str:
    """Return the statements that create what MLflow creates in an empty SQLite file, with the rows of its migrations."""
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.db"
        MlflowClient(tracking_uri=f"sqlite:///{store}", registry_uri=f"sqlite:///{store}").search_experiments(max_results=1)
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("DELETE FROM experiments")
            connection.commit()
            ((revision,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            statements = [line for line in connection.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]
    statements.sort(
        key=lambda line: line if line.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX")) else ""
    )  # MLflow makes them in any order
    return f"-- revision {revision}, migrations {migrations_digest()}\n" + "\n".join(statements) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema())
