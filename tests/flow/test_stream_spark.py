"""Streams on Spark beside the same streams in this process: joins, sliding windows, sessions, detectors of samples and of windows, and outlets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.flow.commands import caudal

from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
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
seconds = product.statistics("sensor_seconds", of=samples, window="1 second", quantiles=(0.5,), centre=4200.0, partition="day")
product.statistics("sliding", of=samples, window="2 seconds", every="500 ms")
product.statistics("bouts", of=samples, session="100 ms")
product.join("labelled_seconds", labels, seconds, on="device", within="5 ms", columns=["sensor", "mean", "eyes_closed"])
artefacts = product.detect("artefacts", seconds, cd.robust_z(window=32), threshold=0.1)
product.detect("jumps", samples, cd.robust_z(window=60), threshold=0.7)
product.send("seconds_out", seconds, cd.drop("seconds"), delivery="exactly once")
product.send("artefacts_out", artefacts, cd.drop("artefacts"))
"""
KEYS = {
    "samples": ["device", "seq", "at"],
    "labels": ["device", "seq", "at"],
    "sensor_seconds": ["device", "window_start", "sensor"],
    "sliding": ["device", "window_start", "sensor"],
    "bouts": ["device", "window_start", "sensor"],
    "labelled_seconds": ["device", "at", "window_start", "sensor"],
    "artefacts": ["device", "at"],
    "jumps": ["device", "at"],
}


def test_everything_that_is_declared_on_a_stream_is_the_same(tmp_path: Path) -> None:
    product = tmp_path / "eeg"
    product.mkdir()
    (product / "product.py").write_text(PRODUCT.format(eeg=str(Path(__file__).parents[2] / "products" / "eeg")))
    here, spark = tmp_path / "here", tmp_path / "spark"
    options = ("--rate", "0", "--seconds", "90", "--devices", "2", "--labels", "--at", "2026-01-05T08:00:00Z")
    caudal("replay", product, "--home", here, *options)
    shutil.copytree(here / "streams", spark / "streams", ignore=shutil.ignore_patterns("lock"))
    told = {}
    for on, home in (("here", here), ("spark", spark)):
        told[on] = caudal("stream", product, "--home", home, "--data", home, "--once", "--end", "--on", on)
        for source in told[on]["sources"].values():
            del source["batches"]
    assert told["spark"]["sources"] == told["here"]["sources"]
    assert told["spark"]["outlets"] == told["here"]["outlets"]
    for name, keys in KEYS.items():
        one, other = (
            arrow(delta.read_version(Home(home).table("eeg", name))).sort_by([(key, "ascending") for key in keys])
            for home in (here, spark)
        )
        assert one.num_rows, name
        assert one.combine_chunks().equals(other.select(one.column_names).combine_chunks()), name
    for outlet in ("seconds", "artefacts"):
        sent = [
            sorted(json.dumps(json.loads(line)) for file in (home / outlet).iterdir() for line in file.read_text().splitlines())
            for home in (here, spark)
        ]
        assert sent[0]
        assert sent[0] == sent[1], outlet


def test_a_stream_stays_with_the_executor_that_began_it(tmp_path: Path) -> None:
    product = Path(__file__).parents[2] / "products" / "eeg"
    caudal("replay", product, "--home", tmp_path, "--rate", "0", "--seconds", "2")
    caudal("stream", product, "--home", tmp_path, "--once")
    refused = caudal("stream", product, "--home", tmp_path, "--once", "--on", "spark", code=5)
    assert "is computed by 'here', which keeps its offsets and its open windows" in refused["what"]
    assert "Go on with --on here" in refused["fix"]
