"""The tables of a new ledger on SQLite, as all migrations leave an empty one: created at once, without Alembic (``tools/ledger.py`` writes the statements)."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Connection

FILE = Path(__file__).with_name("fresh.sql")
_END = ";\n"


def create_tables(connection: Connection) -> None:
    """Create all tables in an empty SQLite database; one that has any is left as it is."""
    if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar():
        return
    for statement in FILE.read_text("utf-8").split(_END):
        if statement.strip():
            connection.exec_driver_sql(statement)


def statements(connection: Connection) -> str:
    """Return the statements that make a SQLite database what it is, as ``fresh.sql`` holds them."""
    dump = connection.connection.driver_connection.iterdump()  # type: ignore[union-attr]
    return "".join(f"{statement}\n" for statement in dump if statement not in ("BEGIN TRANSACTION;", "COMMIT;"))
