"""A stream with an SLA writes its figures of each minute to the ledger; one without writes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import caudal as cd
from caudal.ledger.measurements import measurements
from caudal.messaging.log import Writer
from caudal.messaging.wire import Block, codec
from caudal.runtime.run_record import RunRecord
from caudal.stages.ingest.streams import open_tap
from caudal.streaming.in_process import InProcessEngine
from caudal.streaming.minute_log import minute_logs
from caudal.tables.home import Home

START_S = 1_700_000_040  # a whole minute


def test_the_samples_of_each_minute_are_written_once_it_is_over(tmp_path: Path) -> None:
    home, at = Home(tmp_path), [START_S + 10.0]
    product = cd.Product("shown")
    source = product.source("samples", cd.stream(channels=("a", "b"), partitions=1), late="2 seconds")
    product.statistics("seconds", of=source, window="1 second")
    product.statistics("tens", of=source, window="10 seconds")
    stream = home.stream("shown", "samples")
    with Writer(stream, 1) as log:
        engine = InProcessEngine(
            product, source, home, open_tap(source.connection, stream, None), "run", publish_s=0.0, clock=lambda: at[0]
        )
        record = RunRecord("shown", home.ledger(), "run")
        assert minute_logs(record, product, [engine]) == []
        product.sla(source, cd.sla(fresh="5 minutes", valid=0.99, p95="2 s"))
        (minutes,) = minute_logs(record, product, [engine])
        engine.onlookers = (minutes,)
        for number, times in enumerate((range(10), range(10, 20), [20, 1, 2])):  # two that come far too late
            seconds = np.array(list(times))
            block = Block(
                0, np.arange(len(seconds)) + 100 * number, (START_S + seconds) * 1_000_000, np.ones((len(seconds), 2), np.float32)
            )
            log.append(0, codec("packed").encode(block))
            assert engine.step()
            at[0] += 30.0
        minutes.write()
        minutes.write()  # nothing is left
    engine.close()

    def figures(metric: str) -> list[tuple[float | None, float]]:
        rows = measurements(record.ledger, product="shown", subject="samples", subject_kind="stream", metric=metric)
        return [(row.window_start, row.value) for row in reversed(rows)]

    assert figures("samples") == [(START_S, 20.0), (START_S + 60, 3.0)]
    assert figures("valid_share") == [(START_S, 1.0), (START_S + 60, 1 - 2 / 3)]
    assert [seconds for _, seconds in figures("p95_s")] == [30.0, 69.0]
    record.ledger.close()
