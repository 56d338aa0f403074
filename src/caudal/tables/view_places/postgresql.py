"""Online views in PostgreSQL: a table for each generation of a view in the schema ``caudal_online``, and a row that names the one that is read.

A generation is written in one transaction, so of a run that is killed meanwhile nothing is left; the row is changed in another, once the generation was compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.extras import require
from caudal.storage.driver import url_with_driver
from caudal.tables.online import Row, ViewName, ViewsUnavailable
from caudal.tables.postgres_connection import WaitingConnection
from caudal.tables.remote_views import (
    ASK_S,
    GRACE_S,
    GenerationRows,
    Outage,
    RemoteDraft,
    Turns,
    ViewDocument,
    document_of,
    joined_key,
    written_values,
)
from caudal.tables.view_place_kind import ViewPlaceKind
from caudal.tables.view_places.sqlite import FileRows

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

SCHEMA = "caudal_online"
LONGEST_KEY = 600  # characters that an entry of an index holds for certain; of a longer key it has the SHA-256
LOCK_S = 5.0  # that the removal of a generation waits for its readers
_NO_TABLE = ("42P01", "3F000")
_TABLES = f"""
SELECT pg_advisory_xact_lock(hashtextextended('caudal {SCHEMA}', 0));
DO $$ BEGIN IF to_regnamespace('{SCHEMA}') IS NULL THEN CREATE SCHEMA {SCHEMA}; END IF; END $$;
CREATE TABLE IF NOT EXISTS {SCHEMA}.generations (
  generation text PRIMARY KEY, product text NOT NULL, model text NOT NULL, document text NOT NULL, begun_at timestamptz NOT NULL DEFAULT now(), replaced_at timestamptz);
CREATE TABLE IF NOT EXISTS {SCHEMA}.views (product text NOT NULL, model text NOT NULL, generation text NOT NULL, PRIMARY KEY (product, model));
"""


def index_key(key: str) -> str:
    """Return the text by which a key is found in the index."""
    return key if len(key) <= LONGEST_KEY else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


class PostgresViews:
    """The views in a database of PostgreSQL: a `caudal.tables.online.ViewPlace`.

    Parameters
    ----------
    url : its address
    folder : that of online views in the home, for drafts

    Raises
    ------
    EnvironmentProblem : psycopg is not installed
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._idle: list[WaitingConnection] = []
        self._psycopg: Any = require("psycopg", extra="postgres", for_="An online view in PostgreSQL")
        self._url = url_with_driver(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self.outage, self.folder = Outage(url), folder
        self.shown = self.outage.shown
        self._turns = Turns()

    # Reading, by servers

    def ask(self, query: str, values: Sequence[str | int] = ()) -> list[tuple[str | None, ...]]:
        """Return the rows of a query, as text.

        Raises
        ------
        ViewsUnavailable : the server does not answer in time, or refuses
        psycopg.Error : there is no such table
        """
        self.outage.check()
        with self._turns.turn(self.outage):
            while True:
                link, was_idle = self._link()
                try:
                    rows = link.answer(query, values)
                except (self._psycopg.Error, TimeoutError) as error:
                    if getattr(error, "sqlstate", None) in _NO_TABLE:
                        self._idle.append(link)
                        raise
                    link.close()
                    if was_idle and not isinstance(error, TimeoutError):  # the server may have been started again meanwhile
                        self._close_idle()
                        continue
                    raise self.outage.begin(error) from None
                if link.is_used_up:
                    link.close()
                else:
                    self._idle.append(link)
                self.outage.end()
                return rows

    def _link(self) -> tuple[WaitingConnection, bool]:
        with suppress(IndexError):
            return self._idle.pop(), True
        try:
            return WaitingConnection(self._connect(), self._psycopg), False
        except self._psycopg.Error as error:
            raise self.outage.begin(error) from None

    def _connect(self) -> Connection[TupleRow]:
        connection: Connection[TupleRow] = self._psycopg.connect(
            self._url, connect_timeout=round(ASK_S), application_name="caudal", client_encoding="utf8", autocommit=True,
            tcp_user_timeout=round(5000 * ASK_S), prepare_threshold=None,
        )  # fmt: skip
        return connection

    def states(self, names: Collection[ViewName]) -> dict[ViewName, object]:
        """Return the generation of each view; a view that is not there is left out."""
        generations = self._if_there(f"SELECT product, model, generation FROM {SCHEMA}.views")  # noqa: S608
        by_name = {(str(product), str(model)): generation for product, model, generation in generations}
        return {name: by_name[name] for name in names if name in by_name}

    def open(self, name: ViewName) -> PostgresRows:
        """Return a view."""
        query = f"SELECT v.generation, g.document FROM {SCHEMA}.views v JOIN {SCHEMA}.generations g USING (generation) WHERE v.product = $1 AND v.model = $2"  # noqa: S608
        rows = self._if_there(query, name)
        if not rows:
            raise FileNotFoundError(f"there is no online view of '{name[0]}/{name[1]}' at {self.shown}")
        return PostgresRows(self, name, str(rows[0][0]), json.loads(str(rows[0][1])))

    def _if_there(self, query: str, values: Sequence[str | int] = ()) -> list[tuple[str | None, ...]]:
        """Return the rows of a query; none where nothing was ever written here."""
        try:
            return self.ask(query, values)
        except self._psycopg.Error:
            return []

    def rows_or_gone(self, name: ViewName, query: str, values: Sequence[str | int] = ()) -> list[tuple[str | None, ...]]:
        """Return the rows of a query of a generation.

        Raises
        ------
        ViewGone : it was removed
        """
        try:
            return self.ask(query, values)
        except self._psycopg.Error:
            raise self.outage.gone(name) from None

    # Writing, by runs and erasures

    @contextmanager
    def _writing(self) -> Iterator[Connection[TupleRow]]:
        """Yield a connection whose statements take as long as they need.

        Raises
        ------
        ViewsUnavailable : the server does not answer, or refuses
        """
        try:
            with self._connect() as connection:
                connection.execute(
                    "SELECT set_config('lock_timeout', %s, false), set_config('client_min_messages', 'error', false)",
                    [f"{LOCK_S:g}s"],
                )
                yield connection
        except self._psycopg.Error as error:
            raise self.outage.begin(error) from None

    def draft(self, name: ViewName) -> RemoteDraft:
        """Return a new view that is to be written, after removing what is left of drafts of runs that were killed."""
        self.sweep(*name)
        return RemoteDraft(self, name, self.folder / name[0])

    def write(self, name: ViewName, generation: str, rows: FileRows) -> PostgresRows:
        """Write a generation, which nobody sees yet, from a finished file, and return its rows as they can be read."""
        table, document = _table(generation), document_of(rows)
        with self._writing() as connection:
            connection.execute(_TABLES)
            with connection.transaction():
                connection.execute(
                    f"INSERT INTO {SCHEMA}.generations (generation, product, model, document) VALUES (%s, %s, %s, %s)",  # noqa: S608
                    (generation, *name, json.dumps(document)),
                )
                connection.execute(  # a key that is too long for the index stands in `whole`
                    f'CREATE TABLE {table} ("group" integer NOT NULL, key text COLLATE "C" NOT NULL, at bigint NOT NULL, "values" text NOT NULL, whole text)'
                )
                with (
                    connection.cursor() as cursor,
                    cursor.copy(f'COPY {table} ("group", key, at, "values", whole) FROM STDIN') as copy,
                ):
                    for number in range(len(rows.described["groups"])):
                        for keys, (at, *values) in rows.all_rows(number):
                            key = joined_key(keys)
                            found = index_key(key)
                            copy.write_row((number, found, at, written_values(values), None if found == key else key))
                connection.execute(f'ALTER TABLE {table} ADD PRIMARY KEY ("group", key, at)')
            connection.execute(f"ANALYZE {table}")
        return PostgresRows(self, name, generation, document)

    def point(self, name: ViewName, generation: str) -> None:
        """Make a generation the one that is read, in one transaction."""
        with self._writing() as connection, connection.transaction():
            connection.execute(
                f"UPDATE {SCHEMA}.generations SET replaced_at = now() WHERE product = %s AND model = %s AND generation <> %s AND replaced_at IS NULL",  # noqa: S608
                (*name, generation),
            )
            connection.execute(
                f"INSERT INTO {SCHEMA}.views (product, model, generation) VALUES (%s, %s, %s) "  # noqa: S608
                "ON CONFLICT (product, model) DO UPDATE SET generation = excluded.generation",
                (*name, generation),
            )

    def remove_generation(self, _: ViewName, generation: str) -> None:
        """Remove a generation that nobody reads; where the server does not answer it is left to the next run."""
        with suppress(ViewsUnavailable), self._writing() as connection:
            _drop(connection, generation)

    def models(self, product: str) -> list[str]:
        """Return the models of a product that have a view."""
        query = f"SELECT model FROM {SCHEMA}.views WHERE product = $1 ORDER BY model"  # noqa: S608
        return [str(model) for (model,) in self._if_there(query, [product])]

    def remove(self, name: ViewName) -> None:
        """Remove a view and its generations."""
        with self._writing() as connection:
            connection.execute(f"DELETE FROM {SCHEMA}.views WHERE product = %s AND model = %s", name)  # noqa: S608
        self.sweep(*name, replaced=True)

    def sweep(self, product: str, model: str | None = None, *, replaced: bool = False) -> None:
        """Remove generations that no row names: of drafts, and those that were replaced a while ago, or all."""
        of_model = "" if model is None else " AND model = $2"
        old = "" if replaced else f" AND (replaced_at IS NULL OR replaced_at < now() - interval '{GRACE_S} seconds')"
        query = f"""SELECT generation FROM {SCHEMA}.generations g WHERE product = $1{of_model}{old}
            AND NOT EXISTS (SELECT 1 FROM {SCHEMA}.views v WHERE v.generation = g.generation)"""  # noqa: S608
        left = self._if_there(query, [product] if model is None else [product, model])
        if not left:
            return
        with self._writing() as connection:
            for (generation,) in left:
                try:
                    _drop(connection, str(generation))
                except self._psycopg.errors.LockNotAvailable:
                    if replaced:
                        raise

    def close(self) -> None:
        """Close the connections."""
        self._close_idle()

    def __del__(self) -> None:
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()


class PostgresRows(GenerationRows):
    """The rows of a generation in PostgreSQL."""

    def __init__(self, place: PostgresViews, name: ViewName, generation: str, document: ViewDocument) -> None:
        self._place, self._name = place, name
        super().__init__(generation, document)
        table, of_key = _table(generation), '"group" = $1::int AND key = $2::text'
        self._at = f'SELECT at, "values" FROM {table} WHERE {of_key} AND at <= $3::bigint ORDER BY at DESC LIMIT 1'  # noqa: S608
        self._of_key = f'SELECT at, "values" FROM {table} WHERE {of_key} ORDER BY at LIMIT $3::bigint'  # noqa: S608
        self._counts = f'SELECT coalesce(whole, key), count(*) FROM {table} WHERE "group" = $1::int GROUP BY 1'  # noqa: S608

    def rows_of_key(self, number: int, keys: Sequence[str], most: int) -> list[Row]:
        """Return the first rows of a key of a group in order of time, each a time and values."""
        rows = self._place.rows_or_gone(self._name, self._of_key, (number, index_key(joined_key(keys)), most))
        return [_row(row) for row in rows]

    def row_at(self, number: int, keys: Sequence[str], at_us: int) -> Row | None:
        """Return the newest row of a key at or before a time: its time and values."""
        rows = self._place.rows_or_gone(self._name, self._at, (number, index_key(joined_key(keys)), at_us))
        return _row(rows[0]) if rows else None

    def key_counts(self, number: int, place: int) -> Iterator[tuple[str, int]]:
        """Yield the texts of one of a group's keys, each with a number of rows."""
        for key, rows in self._place.rows_or_gone(self._name, self._counts, (number,)):
            yield json.loads(str(key))[place], int(str(rows))


def _row(row: tuple[str | None, ...]) -> Row:
    return (int(str(row[0])), *json.loads(str(row[1])))


def _table(generation: str) -> str:
    return f"{SCHEMA}.g_{generation}"


def _drop(connection: Connection[TupleRow], generation: str) -> None:
    with connection.transaction():
        connection.execute(f"DROP TABLE IF EXISTS {_table(generation)}")
        connection.execute(f"DELETE FROM {SCHEMA}.generations WHERE generation = %s", (generation,))  # noqa: S608


VIEW_PLACE = ViewPlaceKind(
    "postgresql", ("postgresql", "postgres", "postgresql+psycopg"), PostgresViews, "postgresql://user@host/database"
)
