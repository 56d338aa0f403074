"""What SQLite itself says of a full disk, a file that may not be written, one that is locked or damaged: one sentence each, with exit code 6."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from caudal.errors import CaudalError
from caudal.ledger.faults import ledger_problem


def execute(engine: Engine, statements: Sequence[str]) -> None:
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def told(file: Path, *statements: str) -> CaudalError:
    """Return how the error of the last of some statements is told."""
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
    try:
        with pytest.raises(DBAPIError) as raised:
            execute(engine, statements)
    finally:
        engine.dispose()
    return ledger_problem(raised.value, "table:clean")


def full(file: Path) -> CaudalError:
    return told(file, "PRAGMA max_page_count = 2", "INSERT INTO steps VALUES (zeroblob(100000))")


def read_only(file: Path) -> CaudalError:
    return told(file, "PRAGMA query_only = ON", "INSERT INTO steps VALUES (1)")


def not_opened(file: Path) -> CaudalError:
    return told(file.with_name("none") / "ledger.db", "SELECT 1")


def not_a_database(file: Path) -> CaudalError:
    file.write_bytes(b"no database" * 999)
    return told(file, "SELECT * FROM steps")


def locked(file: Path) -> CaudalError:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        return told(file, "INSERT INTO steps VALUES (1)")


CASES: list[tuple[Callable[[Path], CaudalError], str]] = [
    (full, "The disk is full: the ledger could not be written in step 'table:clean'."),
    (read_only, "The ledger may not be written in step 'table:clean': its file, folder or disk is read-only."),
    (not_opened, "The ledger cannot be opened in step 'table:clean': unable to open database file."),
    (not_a_database, "The ledger is damaged: file is not a database."),
    (locked, "The ledger is locked by another process in step 'table:clean', and was not released."),
]


@pytest.mark.parametrize(("refused", "what"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_what_the_machine_refuses_is_told(tmp_path: Path, refused: Callable[[Path], CaudalError], what: str) -> None:
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("CREATE TABLE steps (id)")
    problem = refused(file)
    assert (problem.what, problem.exit_code) == (what, 6)
    assert problem.fix
