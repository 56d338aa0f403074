"""Samples, latency and unusable samples of streams with an SLA: figures of each minute, written to the ledger."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from caudal.declarations.product import Product
from caudal.errors import CaudalError
from caudal.ledger.measurements import Measurement, add_measurements
from caudal.runtime.run_record import RunRecord
from caudal.service_levels.history import P95, SAMPLES, VALID
from caudal.streaming.checkpoint import Checkpoint
from caudal.streaming.engine import MicroBatchResult, StreamEngine
from caudal.streaming.live import latency_s

_MINUTE_S = 60
_LOG = logging.getLogger(__name__)


@dataclass
class _Tally:
    """What a minute had: samples, how many came too late or could not be read, and the slowest micro-batch's 95th percentile."""

    minute: int
    samples: int = 0
    late: int = 0
    unread: int = 0
    p95_s: float | None = None


class StreamMinuteLog:
    """Is called after each micro-batch of a source, and writes the figures of a minute once it is over."""

    def __init__(self, record: RunRecord, engine: StreamEngine) -> None:
        self.source, self._record = engine.source.name, record
        self._before = late_and_unread(engine.checkpoint)
        self._tally: _Tally | None = None

    def __call__(self, step: MicroBatchResult, checkpoint: Checkpoint) -> None:
        """Add a micro-batch to its minute; write the minute before."""
        minute, counts = int(step.done_at // _MINUTE_S), late_and_unread(checkpoint)
        if self._tally is None or self._tally.minute != minute:
            self.write()
            self._tally = _Tally(minute)
        latency = latency_s(step.results, step.done_at)
        self._tally.samples += sum(result.samples for result in step.results)
        self._tally.late += counts[0] - self._before[0]
        self._tally.unread += counts[1] - self._before[1]
        self._before = counts
        if latency is not None:
            self._tally.p95_s = max(latency["p95"], self._tally.p95_s or 0.0)

    def write(self) -> None:
        """Write the figures of the minute that has begun; the stream goes on where the ledger is away."""
        tally, self._tally = self._tally, None
        whole = 0 if tally is None else tally.samples + tally.unread
        if tally is None or not whole:
            return
        figures = {
            SAMPLES: float(tally.samples),
            VALID: 1.0 - (min(tally.late, tally.samples) + tally.unread) / whole,
            P95: tally.p95_s,
        }
        start = float(tally.minute * _MINUTE_S)
        try:
            add_measurements(self._record.ledger, *(
                Measurement(
                    self._record.product_name, self._record.run_id, start + _MINUTE_S, "stream", self.source, metric, value, count=whole,
                    window_start=start, window_end=start + _MINUTE_S,
                )
                for metric, value in figures.items()
                if value is not None
            ))  # fmt: skip
        except (SQLAlchemyError, CaudalError, OSError) as error:
            _LOG.warning("a minute of '%s' is not recorded: %s", self.source, f"{type(error).__name__}: {error}".splitlines()[0])


def late_and_unread(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return how many samples came too late, and how many samples and messages could not be read, since the stream's beginning."""
    late = max((totals.late for totals in checkpoint.table_totals().values()), default=0)  # each table counts the same samples
    return late, checkpoint.counts.get("unreadable_messages", 0) + checkpoint.counts.get("outside", 0)


def minute_logs(record: RunRecord, product: Product, engines: Sequence[StreamEngine]) -> list[StreamMinuteLog]:
    """Return a log for each source that has an SLA."""
    subjects = {agreement.subject for agreement in product.service_levels}
    return [StreamMinuteLog(record, engine) for engine in engines if engine.source.name in subjects]
