"""Upgrade a ledger's tables to the current version, by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection, Engine

from caudal.errors import EnvironmentProblem

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
        if not inspect(connection).has_table(TABLE):
            return None
        return connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()  # noqa: S608 - a name of ours


def upgrade_ledger(engine: Engine) -> None:
    """Create missing tables and migrate outdated ones; Alembic is imported only if there is something to do.

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
    from alembic import command

    with exclusive_transaction(engine) as connection:
        command.upgrade(config(connection), "head")


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
