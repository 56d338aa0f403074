"""Upgrade a ledger's tables to the current version, by one process at a time.

An empty database is given the tables of ``records.py`` at once: ten migrations one after another, and Alembic's import, take a command in a
new home half a second. That both ways lead to the same tables is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, text
from sqlalchemy.engine import Connection, Engine

from caudal.errors import EnvironmentProblem
from caudal.ledger.records import counters, metadata

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent
TABLE = "ledger_version"  # other applications in the same database have an alembic_version of their own
LOCK = 0x6361756461  # PostgreSQL's advisory locks are numbers; "cauda"


def revisions() -> list[str]:
    """Return the numbers of all migrations, in order."""
    return sorted(path.name[1:5] for path in (HERE / "versions").glob("r[0-9][0-9][0-9][0-9]_*.py"))


def ledger_version(engine: Engine) -> str | None:
    """Return the number of a ledger's last migration; None for an empty ledger, and for one from before migrations had numbers."""
    with engine.connect() as connection:
        return _version(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()  # noqa: S608 - a name of ours


def upgrade_ledger(engine: Engine) -> None:
    """Create missing tables and migrate outdated ones; Alembic is imported only if there is something to migrate.

    Raises
    ------
    EnvironmentProblem : a newer caudal has written the ledger
    """
    have, numbers = ledger_version(engine), revisions()
    if have == numbers[-1]:
        return
    if have is not None and have not in numbers:
        raise EnvironmentProblem(
            f"The ledger is of version {have}, and this caudal knows versions up to {numbers[-1]}.",
            fix="Use the newer caudal that made it, or another ledger.",
            version=have,
        )
    with exclusive_transaction(engine) as connection:
        if _version(connection) == numbers[-1]:  # another process did it meanwhile
            return
        if {TABLE, *metadata.tables} & set(inspect(connection).get_table_names()):
            migrate(connection)
        else:
            _create_tables(connection, numbers[-1])


def migrate(connection: Connection) -> None:
    """Do all migrations that a ledger lacks, one after another."""
    from alembic import command

    command.upgrade(config(connection), "head")


def _create_tables(connection: Connection, number: str) -> None:
    """Create all tables in an empty database, as the migrations up to the last, ``number``, would leave them."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(counters), [{"name": table.name, "value": 0} for table in metadata.sorted_tables if "seq" in table.c])
    version = Table(
        TABLE,
        MetaData(),
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name=f"{TABLE}_pkc"),
    )
    version.create(connection)
    connection.execute(insert(version).values(version_num=number))


def config(connection: Connection) -> Config:
    """Return Alembic's settings for a connection."""
    from alembic.config import Config

    alembic_config = Config()
    alembic_config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    alembic_config.attributes["connection"] = connection
    return alembic_config


@contextmanager
def exclusive_transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other process has at the same time."""
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python's driver would begin too late, at the first change
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
        return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        yield connection
