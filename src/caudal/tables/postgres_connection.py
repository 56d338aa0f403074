"""A connection to PostgreSQL that waits for answers so long and no longer."""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caudal.tables.remote_views import ASK_S

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.pq.abc import PGresult
    from psycopg.rows import TupleRow


class WaitingConnection:
    """A connection on which each query is waited for so long and no longer: psycopg itself waits for ever for a server that has stopped.

    Parameters
    ----------
    connection : of its own, with autocommit
    """

    MOST_PREPARED = 200  # statements; a link with more is not used again

    def __init__(self, connection: Connection[TupleRow], psycopg: Any) -> None:
        self._connection, self._psycopg, self._link = connection, psycopg, connection.pgconn
        self._prepared: dict[str, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._link.socket, selectors.EVENT_READ)

    def answer(self, query: str, values: Sequence[str | int]) -> list[tuple[str | None, ...]]:
        """Return the rows of a query, as text.

        Raises
        ------
        psycopg.Error : the query is refused, or the connection lost
        TimeoutError : there is no answer in time
        """
        until = time.monotonic() + ASK_S
        if query not in self._prepared:
            name = f"caudal_{len(self._prepared)}".encode()
            self._link.send_prepare(name, query.encode())
            self._result(until)
            self._prepared[query] = name
        self._link.send_query_prepared(self._prepared[query], [str(value).encode() for value in values])
        result = self._result(until)
        return [
            tuple(None if (text := result.get_value(row, column)) is None else text.decode() for column in range(result.nfields))
            for row in range(result.ntuples)
        ]

    def _result(self, until: float) -> PGresult:
        link, result = self._link, None
        while link.flush():
            self._wait(until, selectors.EVENT_READ | selectors.EVENT_WRITE)
            link.consume_input()
        while True:
            while link.is_busy():
                self._wait(until)
                link.consume_input()
            if (another := link.get_result()) is None:
                break
            result = another
        status = self._psycopg.pq.ExecStatus
        if result is None:
            raise self._psycopg.OperationalError("no answer")
        if result.status not in (status.COMMAND_OK, status.TUPLES_OK):
            raise self._psycopg.errors.error_from_result(result)
        return result

    def _wait(self, until: float, events: int = selectors.EVENT_READ) -> None:
        self._selector.modify(self._link.socket, events)
        if not self._selector.select(max(0.0, until - time.monotonic())):
            raise TimeoutError(f"no answer within {ASK_S:g} s")

    @property
    def is_used_up(self) -> bool:
        """Whether the server keeps many statements of generations that are read no more."""
        return len(self._prepared) > self.MOST_PREPARED

    def close(self) -> None:
        """Close the connection."""
        self._selector.close()
        self._connection.close()
