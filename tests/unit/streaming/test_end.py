"""Windows that the end of a stream closes are seen by detectors and onlookers, like those that a micro-batch closes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import caudal as cd
from caudal.declarations.node import Source
from caudal.messaging.feed import Feed
from caudal.messaging.log import Writer
from caudal.messaging.wire import Block, codec
from caudal.stages.ingest.streams import open_tap
from caudal.storage import delta
from caudal.streaming.checkpoint import Checkpoint
from caudal.streaming.engine import MicroBatchResult
from caudal.streaming.in_process import InProcessEngine
from caudal.streaming.live import Live
from caudal.tables.frames import arrow
from caudal.tables.home import Home

START_US = 1_700_000_000_000_000


def product(window: str) -> tuple[cd.Product, Source]:
    made = cd.Product("shown")
    samples = made.source("samples", cd.stream(channels=("a",), partitions=1), late="2 seconds")
    seconds = made.statistics("seconds", of=samples, window=window)
    made.detect("odd", seconds, cd.robust_z(window=32), threshold=0.7, column="mean")
    return made, made.sources["samples"]


def test_the_last_window_is_told_and_watched(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made, source = product("1 second")
    values = np.ones((30, 1), np.float32) + 0.01 * np.arange(30, dtype=np.float32)[:, None] % np.float32(0.05)
    values[-1] = 500.0  # in a window that nothing but the end closes
    block = Block(0, np.arange(30), START_US + np.arange(30) * 1_000_000, values)
    with Writer(home.stream("shown", "samples"), 1) as log:
        log.append(0, codec("packed").encode(block))
    told: list[MicroBatchResult] = []

    def look(step: MicroBatchResult, checkpoint: Checkpoint) -> None:
        assert checkpoint.batch == step.batch
        told.append(step)

    engine = InProcessEngine(
        made, source, home, open_tap(source.connection, home.stream("shown", "samples"), None), "run", publish_s=0.0
    )
    engine.onlookers = (look, Live(Feed(home.live("shown")), engine))
    while engine.step():
        pass
    engine.end()
    engine.close()
    starts = [at for step in told for at in step.closed["seconds"].column("window_start").to_pylist()]
    assert len(starts) == len(set(starts)) == 30
    assert len(told[-1].closed["seconds"]) > 0
    assert [row["at"].timestamp() for row in told[-1].anomalies["odd"].to_pylist()] == [START_US / 1e6 + 30]
    published = arrow(delta.read_version(home.table("shown", "odd"))).to_pylist()
    assert [row["at"].timestamp() for row in published][-1:] == [START_US / 1e6 + 30]
