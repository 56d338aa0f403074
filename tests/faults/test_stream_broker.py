"""The broker dies under a running stream and comes back: what it has acknowledged is counted, once; what was not read is waited for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from benchmarks.stream import faults
from benchmarks.stream.streaming import SOURCE, Streaming, send

from caudal.messaging.broker import Broker
from caudal.storage import delta
from caudal.tables.home import Home

pytestmark = [
    pytest.mark.slow(minutes=2),
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("forked_benchmarks"),
]
ALL = ("--once", "--end", "--publish", "0.2")


def test_killed_while_a_replay_sends_and_a_stream_reads(tmp_path: Path) -> None:
    told = faults.broker_restarted(tmp_path)
    assert told.wrong == []
    assert told.facts["acknowledged"] == told.facts["counted"] > 200


@pytest.mark.parametrize("on", ["here", "spark"])
def test_killed_under_once_which_waits_and_reads_to_the_end(tmp_path: Path, on: str) -> None:
    told = faults.broker_restarted_once(tmp_path, on=on)
    assert told.wrong == []
    assert told.facts["waits"]


def test_stopped_while_the_broker_is_away_no_window_is_closed_for_good(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Broker(tmp_path / "kafka") as broker:
        environment = faults.kafka(broker)
        sent = send(home, "--rate", "0", "--seconds", "60", environment=environment)
        with Streaming(home, *ALL, batch_bytes=16 << 10, environment=environment) as stream:
            stream.wait_for(2)
            broker.kill()
            time.sleep(1)
            table = stream.stop()["sources"][SOURCE]["tables"]["seconds"]
            assert table["open_windows"] > 0
            assert "The stream waits and goes on when it answers again." in stream.said()
        broker.start()
        with Streaming(home, *ALL, environment=environment) as stream:
            told = stream.ended()["sources"][SOURCE]
    assert told["samples"] == sent["samples"]
    assert (told["tables"]["seconds"]["late"], told["tables"]["seconds"]["open_windows"]) == (0, 0)
    assert delta.read_version(Home(home).table("readings", "samples")).rows == sent["samples"]
