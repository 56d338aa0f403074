"""What Spark reports of a query after each micro-batch, written to the ledger once a minute."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

import numpy as np
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)
from sqlalchemy.exc import SQLAlchemyError

from caudal.errors import CaudalError
from caudal.ledger.measurements import Measurement, add_measurements
from caudal.runtime.run_record import RunRecord

_MINUTE_S = 60
_LOG = logging.getLogger(__name__)


@dataclass
class _Minute:
    """The reports of a minute: seconds of each micro-batch, messages, and the state after the last one."""

    number: int
    seconds: list[float] = field(default_factory=list)
    messages: int = 0
    state_rows: int = 0
    state_bytes: int = 0


class QueryMinutes(StreamingQueryListener):
    """Listens to the query of a source.

    The measurements are ``query_p95_s``, the 95th percentile of the time of a micro-batch, ``query_messages``, and ``query_state_rows`` and
    ``query_state_bytes``, the devices that Spark keeps a state of and the memory that it takes.
    """

    def __init__(self, record: RunRecord, source: str) -> None:
        self._record, self._source = record, source
        self._minute: _Minute | None = None
        self._lock = threading.Lock()
        self.terminated = threading.Event()

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 (Spark's)
        """Do nothing."""

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802
        """Do nothing."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        """Add a micro-batch to its minute; write the minute before."""
        progress = event.progress
        number = int(self._record.clock() // _MINUTE_S)
        with self._lock:
            if self._minute is None or self._minute.number != number:
                self._write()
                self._minute = _Minute(number)
            self._minute.seconds.append(progress.durationMs.get("triggerExecution", 0) / 1000)
            self._minute.messages += progress.numInputRows
            self._minute.state_rows = sum(state.numRowsTotal for state in progress.stateOperators)
            self._minute.state_bytes = sum(state.memoryUsedBytes for state in progress.stateOperators)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: ARG002, N802
        """Write the minute that has begun."""
        with self._lock:
            self._write()
        self.terminated.set()

    def _write(self) -> None:
        """Write a minute; the stream goes on where the ledger is away."""
        minute, self._minute = self._minute, None
        if minute is None:
            return
        start = float(minute.number * _MINUTE_S)
        figures = {
            "query_p95_s": float(np.quantile(minute.seconds, 0.95)),
            "query_messages": float(minute.messages),
            "query_state_rows": float(minute.state_rows),
            "query_state_bytes": float(minute.state_bytes),
        }
        try:
            add_measurements(self._record.ledger, *(
                Measurement(
                    self._record.product_name, self._record.run_id, start + _MINUTE_S, "stream", self._source, metric, value,
                    count=len(minute.seconds), window_start=start, window_end=start + _MINUTE_S,
                )
                for metric, value in figures.items()
            ))  # fmt: skip
        except (SQLAlchemyError, CaudalError, OSError) as error:
            _LOG.warning(
                "a minute of the query of '%s' is not recorded: %s",
                self._source,
                f"{type(error).__name__}: {error}".splitlines()[0],
            )
