"""Joins as a user has them: replayed, run, streamed on, compared with a run; while samples come, and from what was captured before."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.documents import check_document
from tests.flow.commands import caudal, run_here, streaming

from caudal.commands.parity import check_parity
from caudal.declarations.settings import Settings
from caudal.messaging.feed import Feed
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow]
EEG = Path(__file__).parents[2] / "products" / "eeg"
PRODUCT = """
import caudal as cd
from caudal.graph.load import load
from pathlib import Path

eeg = load(Path({eeg!r}))
CHANNELS = eeg.sources["samples"].connection.channels
del eeg
product = cd.Product("eeg")
samples = product.source("samples", cd.stream(channels=CHANNELS), late="2 seconds", partition="day")
labels = product.source("labels", cd.stream(channels=("eyes_closed",), partitions=1), late="10 seconds", partition="day")
seconds = product.statistics("sensor_seconds", of=samples, window="1 second")
headsets = product.source("headsets", cd.files("headsets.csv", required=False), schema=cd.schema(device="long", owner="string"))
product.join("noted", samples, labels, on=("device", "seq"), within="2 seconds", how="left", columns=["O1", "eyes_closed"])
product.join("labelled_seconds", labels, seconds, on="device", within="1 second", columns=["sensor", "mean", "eyes_closed"])
product.join("known", samples, headsets, on="device")


@product.table(event_time="at", partition="day")
def closed(noted):
    return noted.where("eyes_closed = 1")
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product's folder, with joins."""
    folder = tmp_path / "eeg"
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT.format(eeg=str(EEG)))
    (folder / "headsets.csv").write_text("device,owner\n0,ann\n1,bob\n")
    return folder


def rows(home: Path, name: str) -> list[dict]:
    """Return a table's rows."""
    return arrow(delta.read_version(Home(home).table("eeg", name))).to_pylist()


def test_a_run_makes_it_whole_a_stream_goes_on_and_both_are_what_spark_gives(product: Path, tmp_path: Path, spark: Any) -> None:
    home = tmp_path / "home"
    caudal("replay", product, "--home", home, "--rate", "0", "--seconds", "12", "--labels")
    sent = time.monotonic()
    steps = {step["step"]: step for step in run_here(product, home)["steps"]}
    assert {steps[f"join:{name}"]["state"] for name in ("noted", "labelled_seconds", "known")} == {"succeeded"}
    assert steps["table:closed"]["state"] == "succeeded"
    first = rows(home, "noted")
    time.sleep(max(0.0, sent + 13 - time.monotonic()))  # twelve seconds that end now are later than those that ended then
    caudal("replay", product, "--home", home, "--rate", "0", "--seconds", "12")  # nobody notes anything
    told = caudal("stream", product, "--home", home, "--once", "--end")["joins"]
    both = rows(home, "noted")
    assert {(row["device"], row["seq"], row["at"]) for row in first} <= {(row["device"], row["seq"], row["at"]) for row in both}
    assert told["noted"]["rows"] == len(both) == len({(row["device"], row["seq"], row["at"]) for row in both})
    assert told["noted"]["unmatched"] == sum(row["labels_at"] is None for row in both) > 2000
    assert told["noted"]["late"] == 0
    assert {row["owner"] for row in rows(home, "known")} == {"ann"}
    assert len(rows(home, "known")) == len(both)
    compared = check_parity(product, Settings(home=home))
    check_document("parity", compared)
    assert compared["equal"], compared
    assert set(compared["tables"]) == {"sensor_seconds", "noted", "labelled_seconds", "known"}
    assert compared["tables"]["noted"]["rows"] == len(both)


def test_joins_follow_while_samples_come(product: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    feed, noted = Feed(Home(home).live("eeg")), Home(home).table("eeg", "labelled_seconds")
    caudal("replay", product, "--home", home, "--rate", "0", "--seconds", "4", "--labels")
    with streaming(product, "--home", home, "--publish", "0.2") as stream:
        until = time.monotonic() + 60
        while (delta.version_of(noted) is None or not delta.read_version(noted).rows) and time.monotonic() < until:
            time.sleep(0.05)
        caudal("replay", product, "--home", home, "--rate", "0", "--seconds", "4", "--labels")
        while delta.read_version(noted).rows < 4 * 256 * 16 and time.monotonic() < until:
            time.sleep(0.05)
        stream.send_signal(signal.SIGTERM)
        told = json.loads(stream.stdout.read())["joins"]
        assert stream.wait(timeout=60) == 0
    assert told["labelled_seconds"]["rows"] == delta.read_version(noted).rows
    assert told["known"]["waits_for"] == "headsets"
    assert feed.tail(0)[-1][1]["joins"]["noted"]["late"] == 0
