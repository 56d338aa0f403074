"""caudal itself, asked like the others: `benchmarks/stream/product.py`, with their statistics or all of its own, and capture to the lake."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from deltalake import DeltaTable

from benchmarks.stream.peers.task import Task, asked
from benchmarks.stream.product import CHANNELS
from caudal.batch.batch import run_training
from caudal.declarations.settings import Settings
from caudal.engine.session import session, stop
from caudal.messaging.feed import Feed
from caudal.streaming.stream import run_streams
from caudal.tables.home import Home

_PRODUCT = Path(__file__).parent.parent


def backlog(task: Task, settings: Settings, platform: str) -> None:
    """Read all that is there and answer with the published windows."""
    home = Home(settings.home)
    run_streams(_PRODUCT, settings, train=run_training, once=True, end=True, on=platform)
    last_s = time.time()
    _, update = Feed(home.live("readings")).tail(0)[0]
    # The first micro-batch begins before its update.
    first_s = update["at"] - sum(update["seconds"].values())
    columns = ("device", "sensor", "window_start", "readings", "min", "max", "mean", "std")
    found = DeltaTable(home.table("readings", "seconds")).to_pyarrow_table(columns=list(columns)).to_pylist()
    task.windows(
        first_s,
        last_s,
        [
            [
                one["device"], CHANNELS.index(one["sensor"]), one["window_start"].timestamp(), one["readings"], one["min"], one["max"],
                one["mean"], None if one["std"] is None else one["std"] ** 2,
            ]
            for one in found
        ],
    )  # fmt: skip


def follow(task: Task, settings: Settings, platform: str) -> None:
    """Tell counts as they change until the time is up."""
    assert task.until is not None
    run_streams(_PRODUCT, settings, train=run_training, seconds=task.until - time.time(), every_s=0, on=platform)
    updates = [update for _, update in Feed(Home(settings.home).live("readings")).tail(0)]
    task.updates(
        [
            [row["device"], row["window_start"], row["count"], update["at"]]
            for update in updates
            for row in update["statistics"]
            if row["sensor"] == 0
        ]
    )


def main() -> None:
    """Do the task on the platform that the command names."""
    task, platform, statistics = asked(), sys.argv[2], sys.argv[3]
    os.environ.update(
        CAUDAL_KAFKA=task.servers, STREAM_FROM="kafka", STREAM_WIRE=task.wire, STREAM_TOPIC=task.topic, STREAM_STATISTICS=statistics
    )
    with TemporaryDirectory(dir=Path(task.out).parent) as scratch:
        if platform == "spark":
            session(connectors=frozenset({"kafka"}), cores=task.cores)
        settings = Settings(home=Path(scratch), kafka=task.servers)
        (backlog if task.until is None else follow)(task, settings, "spark" if platform == "spark" else "here")
        stop()


if __name__ == "__main__":
    main()
