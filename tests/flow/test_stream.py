"""A stream as a user has it: replay, stream, look, compare with a run; from the embedded log and from a real Kafka broker."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests import zygote
from tests.flow.commands import caudal, caudal_elsewhere, streaming

from caudal.commands.parity import check_parity
from caudal.declarations.settings import Settings
from caudal.ledger.measurements import measurements
from caudal.messaging.broker import Broker
from caudal.messaging.feed import Feed
from caudal.messaging.log import Writer
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow]
EEG = Path(__file__).parents[2] / "products" / "eeg"
KAFKA = """
import caudal as cd
from caudal.graph.load import load
from pathlib import Path

eeg = load(Path({eeg!r}))
product = cd.Product("eeg")
channels = eeg.sources["samples"].connection.channels
del eeg
samples = product.source("samples", cd.kafka("eeg", channels=channels, wire="json"), late="2 seconds")
product.statistics("sensor_seconds", of=samples, window="1 second", ranges=(4150, 4250), quantiles=(0.5,), centre=4200.0)
product.statistics("bouts", of=samples, session="100 milliseconds", ranges=(4150, 4250), quantiles=(0.5,), centre=4200.0)
"""


def test_what_was_sent_is_what_is_counted_and_equals_a_run(tmp_path: Path, spark: Any) -> None:
    sent = caudal("replay", EEG, "--home", tmp_path, "--rate", "0", "--seconds", "30")
    told = caudal("stream", EEG, "--home", tmp_path, "--once", "--end")
    table = told["sources"]["samples"]["tables"]["sensor_seconds"]
    facts = sent["facts_per_device"]
    assert told["sources"]["samples"]["samples"] == sent["samples"]
    assert table["duplicates"] == facts["twice"]
    rows = arrow(delta.read_version(Home(tmp_path).table("eeg", "sensor_seconds"))).to_pandas()
    assert rows["readings"].sum() == table["readings"]
    assert rows["readings"].sum() + rows["missing"].sum() == (sent["samples"] - table["duplicates"] - table["late"]) * 16
    assert rows[rows["sensor"].isin(["O1", "O2"])]["alpha_power"].max() > 3 * rows["alpha_power"].median()
    assert check_parity(EEG, Settings(home=tmp_path))["equal"]


def test_spark_gives_the_same_rows_and_counts_as_this_process(tmp_path: Path) -> None:
    """Statistics with bands of power, the capture, and a detector; read in two goes, so that state is kept between them."""
    keys = {
        "samples": ["device", "seq", "at"],
        "sensor_seconds": ["device", "window_start", "sensor"],
        "artefacts": ["device", "at"],
    }
    here, spark = tmp_path / "here", tmp_path / "spark"
    told = {}
    for number, options in enumerate((("--once",), ("--once", "--end"))):
        at = ("--at", f"2026-01-05T08:00:{10 * number:02}Z", "--devices", "3")
        caudal("replay", EEG, "--home", here, "--rate", "0", "--seconds", "10", "--seed", "3", *at)
        for partition in ("p0", "p1"):  # the very same messages
            log = Home(spark).stream("eeg", "samples") / partition
            shutil.rmtree(log, ignore_errors=True)
            shutil.copytree(Home(here).stream("eeg", "samples") / partition, log, ignore=shutil.ignore_patterns("lock"))
        for on, home in (("here", here), ("spark", spark)):
            told[on] = caudal("stream", EEG, "--home", home, *options, "--on", on)["sources"]["samples"]
        assert told["spark"] | {"batches": 0} == told["here"] | {"batches": 0}
    assert told["spark"]["tables"]["sensor_seconds"]["open_windows"] == 0
    for name, order in keys.items():
        one, other = (
            arrow(delta.read_version(Home(home).table("eeg", name))).sort_by([(key, "ascending") for key in order])
            for home in (here, spark)
        )
        assert one.num_rows
        assert one.combine_chunks().equals(other.select(one.column_names).combine_chunks()), name
    with contextlib.closing(Home(spark).ledger()) as ledger:
        batches = measurements(ledger, product="eeg", subject="samples", subject_kind="stream", metric="query_messages")
    assert sum(row.value for row in batches) >= told["spark"]["messages"]


def test_messages_that_hold_no_samples_are_set_aside_with_their_bytes(tmp_path: Path) -> None:
    caudal("replay", EEG, "--home", tmp_path, "--rate", "0", "--seconds", "3")
    with Writer(Home(tmp_path).stream("eeg", "samples"), 2) as log:
        log.append(0, [b"this is no block", b""])
    told = caudal("stream", EEG, "--home", tmp_path, "--once", "--end")["sources"]["samples"]
    assert told["unreadable_messages"] == 2
    aside = arrow(delta.read_version(Home(tmp_path).quarantine("eeg", "samples"))).to_pylist()
    assert sorted(row["message"] for row in aside) == [b"", b"this is no block"]
    assert all(row["_reasons"] for row in aside)


def test_a_stream_goes_on_where_it_was_stopped_and_a_run_takes_what_came_meanwhile(tmp_path: Path) -> None:
    first = caudal("replay", EEG, "--home", tmp_path, "--rate", "0", "--seconds", "5")
    feed = Feed(Home(tmp_path).live("eeg"))
    with streaming(EEG, "--home", tmp_path, "--publish", "0.2") as stream:
        until = time.monotonic() + 60
        while delta.version_of(Home(tmp_path).table("eeg", "sensor_seconds")) is None and time.monotonic() < until:
            time.sleep(0.05)
        assert caudal("run", EEG, "--home", tmp_path)["steps"][0]["why"] == "the product's streams are running"
        stream.send_signal(signal.SIGTERM)
        told = json.loads(stream.stdout.read())
        assert stream.wait(timeout=60) == 0
    assert told["sources"]["samples"]["samples"] == first["samples"]
    update = feed.tail(0)[-1][1]
    assert update["total"] == first["readings"]
    assert len(update["sensors"]) == 16
    assert update["statistics"]
    again = {step["step"]: step for step in caudal("run", EEG, "--home", tmp_path)["steps"]}
    assert {again[name]["state"] for name in ("land:samples", "read:samples", "statistics:sensor_seconds", "land:labels")} == {
        "skipped"
    }
    # Nobody has sent a label: what needs them waits, and that is no failure.
    assert {
        again[name]["state"] for name in ("read:labels", "features:brain_seconds", "train:eyes", "predict:eyes_predictions")
    } == {"waiting"}
    assert "no row of 'labels'" in again["read:labels"]["why"]
    assert again["train:eyes"]["why"] == "waits for read:labels"


def test_a_second_stream_of_a_product_is_refused(tmp_path: Path) -> None:
    caudal("replay", EEG, "--home", tmp_path, "--rate", "0", "--seconds", "1")
    with streaming(EEG, "--home", tmp_path, "--seconds", "20"):
        until = time.monotonic() + 60
        while not Feed(Home(tmp_path).live("eeg")).tail(0) and time.monotonic() < until:
            time.sleep(0.05)
        refused = zygote.run(
            [sys.executable, "-m", "caudal", "stream", str(EEG), "--home", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert refused.returncode != 0
    assert "Another run of product 'eeg (stream)' is at work" in refused.stderr


@pytest.mark.parametrize("on", ["here", "spark"])
def test_from_kafka_with_the_broker_killed_in_the_middle(tmp_path: Path, spark: Any, on: str) -> None:
    product = tmp_path / "eeg"
    product.mkdir()
    (product / "product.py").write_text(KAFKA.format(eeg=str(EEG)))
    with Broker(tmp_path / "kafka", 0) as broker:
        kafka = {"CAUDAL_KAFKA": broker.address}
        first = caudal("replay", product, "--home", tmp_path / "home", "--rate", "0", "--seconds", "5", **kafka)
        sent = time.monotonic()
        told = caudal_elsewhere("stream", product, "--home", tmp_path / "home", "--once", "--on", on, **kafka)["sources"]["samples"]
        assert told["samples"] == first["samples"]
        broker.kill()
        broker.start()
        kafka = {"CAUDAL_KAFKA": broker.address}
        time.sleep(max(0.0, sent + 6 - time.monotonic()))  # five seconds that end now are later than those that ended then
        second = caudal("replay", product, "--home", tmp_path / "home", "--rate", "0", "--seconds", "5", **kafka)
        told = caudal_elsewhere("stream", product, "--home", tmp_path / "home", "--once", "--end", "--on", on, **kafka)["sources"][
            "samples"
        ]
        assert told["samples"] == first["samples"] + second["samples"]
    compared = check_parity(product, Settings(home=tmp_path / "home"))
    assert compared["equal"]
    assert compared["tables"]["bouts"]["rows"] >= 32  # a session of each replay at least


def test_no_broker_is_one_clear_sentence(tmp_path: Path) -> None:
    product = tmp_path / "eeg"
    product.mkdir()
    (product / "product.py").write_text(KAFKA.format(eeg=str(EEG)))
    done = zygote.run(
        [sys.executable, "-m", "caudal", "stream", str(product), "--home", str(tmp_path / "home"), "--once"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "CAUDAL_KAFKA": "127.0.0.1:1"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(900)
def test_a_model_learns_from_the_capture_and_follows_the_stream_each_window_once(tmp_path: Path) -> None:
    """Enough to learn from comes first; then the stream is started anew, and finds what it has predicted."""
    product = tmp_path / "eeg"
    product.mkdir()
    (product / "product.py").write_text((EEG / "product.py").read_text().replace("learn_after=60_000", "learn_after=35_000"))
    home, table = tmp_path / "home", Home(tmp_path / "home").table("eeg", "eyes_predictions_live")
    for _ in range(2):
        caudal("replay", product, "--home", home, "--rate", "0", "--seconds", "140", "--labels")
        with streaming(product, "--home", home, "--publish", "0.5"):
            before = delta.version_of(table)
            until = time.monotonic() + 240
            while delta.version_of(table) == before and time.monotonic() < until:
                time.sleep(0.5)
    rows = arrow(delta.read_version(table)).to_pandas()
    assert not rows.duplicated(["device", "window_end"]).any()
    assert len(rows) >= 138
    assert set(rows["prediction"]) == {"open", "closed"}
    truth = arrow(delta.read_version(Home(home).table("eeg", "brain_seconds"))).to_pandas().dropna(subset=["eyes"])
    both = rows.merge(truth[["device", "window_end", "eyes"]], on=["device", "window_end"])
    assert (both["prediction"] == both["eyes"]).mean() > 0.9

    # What only the end closes is classified before the command is over; a headset that restarts keeps its labels.
    caudal("replay", product, "--home", home, "--rate", "0", "--seconds", "20", "--labels")
    caudal("stream", product, "--home", home, "--once", "--end")
    closed = (
        arrow(delta.read_version(Home(home).table("eeg", "sensor_seconds"))).to_pandas()[["device", "window_end"]].drop_duplicates()
    )
    last = arrow(delta.read_version(table)).to_pandas()[["device", "window_end"]]
    assert len(last) == len(closed)
    assert set(map(tuple, last.to_numpy())) == set(map(tuple, closed.to_numpy()))
