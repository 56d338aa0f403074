"""The ledger: an append-mostly record of what was done, on SQLite or any SQLAlchemy database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from sqlalchemy import Select, Table, create_engine, event, insert, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.ledger.faults import ledger_problem
from caudal.ledger.json_ready import json_ready
from caudal.ledger.migrations.upgrade import upgrade_ledger
from caudal.ledger.records import counters, decisions, model_versions, runs, steps
from caudal.secret import shown
from caudal.storage.driver import url_with_driver

if TYPE_CHECKING:
    from caudal.ledger.records import R, RowTable
    from caudal.ledger.rows import ChampionRow, RunRow, StepRow

Row = dict[str, Any]  # of a query that selects columns of one table or several
BUSY_MS = 30_000  # longest wait for a SQLite ledger that another process has locked


class LedgerGone(EnvironmentProblem):
    """The ledger's file does not exist any more."""


def open_ledger(url: str) -> Ledger:
    """Return the ledger at a database URL, after creating or upgrading its tables.

    Raises
    ------
    EnvironmentProblem : its server is not reachable, its driver is missing, or a newer caudal has written it
    DeclarationProblem : the URL is invalid
    """
    return Ledger(url)


class Ledger:
    """Access to the ledger's tables. Rows are plain dictionaries."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            parsed = url_with_driver(url)
        except ArgumentError:
            raise DeclarationProblem(
                f"The ledger's URL '{shown(url)}' is not a database URL.",
                fix="Write CAUDAL_LEDGER as postgresql://user@host/database, or leave it out.",
            ) from None
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            try:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EnvironmentProblem(
                    f"The folder of the ledger '{parsed.database}' cannot be made: {error.strerror}.",
                    fix="Give another with --home DIR.",
                ) from None
        # The server may have been restarted since a pooled connection was last used.
        self.engine: Engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite", json_serializer=_json)
        if parsed.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", _set_pragmas)
        try:
            upgrade_ledger(self.engine)
            if parsed.get_backend_name() == "sqlite" and parsed.database and Path(parsed.database).is_file():
                _follow_file(self.engine, Path(parsed.database).absolute())
        except DBAPIError as error:
            self.engine.dispose()
            if parsed.get_backend_name() == "sqlite":
                raise ledger_problem(error, file=Path(parsed.database or "")) from None
            raise EnvironmentProblem(
                f"The ledger {shown(url)} cannot be opened: {_first_line(error)}.",
                fix="Check CAUDAL_LEDGER, whether its server is up, and whether the user may create tables there.",
            ) from None

    def close(self) -> None:
        """Close all connections to the database."""
        self.engine.dispose()

    def add(self, table: Table, *rows: Mapping[str, object]) -> None:
        """Append rows in one transaction; where the table orders its rows by ``seq``, each gets the next number."""
        if not rows:
            return
        with self.engine.begin() as connection:
            entries = [dict(row) for row in rows]
            if "seq" in table.c:
                first = next_number(connection, table, len(entries))
                entries = [{**entry, "seq": first + place} for place, entry in enumerate(entries)]
            connection.execute(insert(table), entries)

    def renew(self, table: Table, where: Mapping[str, object], **values: object) -> None:
        """Set values on the rows that match, and move them to the end in the order of ``seq``."""
        with self.engine.begin() as connection:
            statement = update(table).values(seq=next_number(connection, table), **values)
            for name, value in where.items():
                statement = statement.where(table.c[name] == value)
            connection.execute(statement)

    def change(self, table: Table, where: Mapping[str, object], **values: object) -> int:
        """Set values on the rows that match and return their number."""
        statement = update(table).values(**values)
        for name, value in where.items():
            statement = statement.where(table.c[name] == value)
        with self.engine.begin() as connection:
            return int(connection.execute(statement).rowcount)

    @overload
    def rows(self, query: Select[object]) -> list[Row]: ...
    @overload
    def rows(self, query: Select[object], of: RowTable[R]) -> list[R]: ...
    def rows(self, query: Select[object], of: RowTable[R] | None = None) -> list[Row] | list[R]:
        """Return the rows of a query; ``of`` is their table, where they are complete rows of one."""
        with self.engine.connect() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return rows if of is None else cast("list[R]", rows)

    def find(self, table: RowTable[R], /, *, newest: bool = False, limit: int | None = None, **equal: object) -> list[R]:
        """Return the rows whose columns equal the given values, in order of entry (or newest first)."""
        query = select(table)
        for name, value in equal.items():
            query = query.where(table.c[name].in_(value) if isinstance(value, list | tuple) else table.c[name] == value)
        order = next((table.c[name] for name in ("seq", "id", "started_at", "version") if name in table.c), None)
        if order is not None:
            query = query.order_by(order.desc() if newest else order)
        return self.rows(query.limit(limit) if limit else query, table)

    def last_success(self, product: str, step: str) -> StepRow | None:
        """Return the newest row of a step that succeeded."""
        rows = self.find(steps, product=product, step=step, state="succeeded", newest=True, limit=1)
        return rows[0] if rows else None

    def champion(self, product: str, model: str) -> ChampionRow | None:
        """Return the model version in production, with its decision under ``decision``; None before any promotion."""
        decided = self.find(decisions, product=product, model=model, decision=["promoted", "rolled back"], newest=True, limit=1)
        if not decided:
            return None
        version = self.find(model_versions, product=product, model=model, version=decided[0]["version"])
        return cast("ChampionRow", {**version[0], "decision": decided[0]}) if version else None

    def last_run(self, product: str | None = None) -> RunRow | None:
        """Return the newest run."""
        rows = self.find(runs, newest=True, limit=1, **({"product": product} if product else {}))
        return rows[0] if rows else None


def next_number(connection: Connection, table: Table, count: int = 1) -> int:
    """Reserve the next ``count`` numbers of a table's rows and return the first; the counter's row is locked until the transaction ends."""
    is_row = counters.c.name == table.name
    if not connection.execute(update(counters).where(is_row).values(value=counters.c.value + count)).rowcount:
        connection.execute(insert(counters).values(name=table.name, value=count))
    return int(connection.execute(select(counters.c.value).where(is_row)).scalar_one()) - count + 1


def _json(value: object) -> str:
    """Return JSON that every database accepts: NaN and infinities become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(json_ready(value))


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).strip().splitlines() or ["no answer"])[0].rstrip(".")


def _set_pragmas(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _follow_file(engine: Engine, path: Path) -> None:
    """Let an engine detect that its file was removed or replaced, such as by a backup: a connection keeps the file that it opened."""
    engine.dispose()  # earlier connections have no recorded file

    def check_file(*_: object) -> None:
        if _identity(path) is None:  # SQLite would create an empty one
            raise LedgerGone(
                f"The ledger {path} is gone.",
                fix="Put the home back from a backup, or start again with 'caudal run'.",
                where=str(path),
            )

    def remember_file(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _identity(path)

    def check_connection(_connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        check_file()
        if record.info.get("file") != _identity(path):
            raise InvalidatePoolError

    event.listen(engine, "do_connect", check_file)
    event.listen(engine, "connect", remember_file)
    event.listen(engine, "checkout", check_connection)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which change when it is replaced; None where it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
