"""A stream that reads as messages come publishes what one reading of all of them does, what a run makes of the capture, and what a count by hand gives."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings, strategies as st
from tests.differential.fresh import forget
from tests.plans import SMALL

from caudal.batch.batch import run_training
from caudal.commands.parity import check_parity
from caudal.declarations.settings import Settings
from caudal.messaging.log import Writer
from caudal.messaging.wire.block import Block
from caudal.messaging.wire.codec import codec
from caudal.streaming.stream import run_streams
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
EXAMPLES = 8
STEP_US = 250_000
LATE_STEPS = 12
PRODUCT = """
import caudal as cd

product = cd.Product("drawn", tz="{zone}")
samples = product.source("samples", cd.stream(channels=["x", "y"], wire="{wire}"), late="5 seconds", partition={partition!r})
product.statistics("windows", of=samples, window="{window}", every="{every}")
"""

Sample = tuple[int, int, int, float]  # device, number, microseconds, reading


@st.composite
def messages(draw: Any) -> tuple[list[list[Sample]], list[Sample]]:
    """Return samples in the order in which they come, in one to four rounds; numbers are left out, come twice, and come late."""
    chance = draw(st.randoms(use_true_random=False))
    midnight = int(dt.datetime(2024, 3, 31, tzinfo=dt.UTC).timestamp()) * 1_000_000 + draw(st.integers(0, 23)) * 3_600_000_000
    sent: list[tuple[float, Sample]] = []
    for device in range(draw(st.integers(1, 2))):
        for number in range(draw(st.integers(4, 60))):
            if chance.random() < 0.1:
                continue
            reading = math.nan if chance.random() < 0.1 else chance.randint(-400, 400) / 4
            sample = (device, number, midnight - 5_000_000 + number * STEP_US, reading)
            sent.append((number + chance.random() * LATE_STEPS, sample))
            if chance.random() < 0.1:
                sent.append((number + chance.random() * LATE_STEPS, sample))
    in_order = [sample for _, sample in sorted(sent)]
    cuts = sorted(chance.randint(0, len(in_order)) for _ in range(draw(st.integers(0, 3))))
    rounds = [in_order[start:end] for start, end in zip([0, *cuts], [*cuts, len(in_order)], strict=True)]
    return rounds, in_order


def send(home: Path, wire: str, samples: list[Sample]) -> None:
    """Write samples into the embedded log, a message each."""
    with Writer(Home(home).stream("drawn", "samples"), 2) as log:
        for device, number, at_us, reading in samples:
            values = np.array([[reading, -reading]], np.float32)
            block = Block(device, np.array([number]), np.array([at_us]), values)
            log.append(device % 2, codec(wire).encode(block))


def published(home: Path) -> set[tuple[Any, ...]]:
    """Return the rows of the statistics."""
    rows = deltalake.DeltaTable(str(Home(home).table("drawn", "windows"))).to_pyarrow_table().to_pylist()
    return {tuple(sorted((name, str(value)) for name, value in row.items())) for row in rows}


def counted(samples: list[Sample], width_us: int, every_us: int) -> dict[tuple[Any, ...], list[float]]:
    """Return the readings of each device, sensor and window, each sample once."""
    windows: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for device, _, at_us, reading in {(device, number, at_us, str(reading)) for device, number, at_us, reading in samples}:
        value = float(reading)
        last = at_us // every_us * every_us
        for start in range(last - width_us + every_us, last + 1, every_us):
            if not math.isnan(value):
                windows[device, "x", start].append(value)
                windows[device, "y", start].append(-value)
    return windows


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    drawn=messages(), window=st.sampled_from([("1 second", "1 second"), ("2 seconds", "1 second"), ("4 seconds", "4 seconds")]),
    wire=st.sampled_from(["packed", "json"]), partition=st.sampled_from([None, "day"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
)  # fmt: skip
def test_a_stream_read_in_rounds_equals_one_reading_a_run_and_a_count(
    small: None, tmp_path_factory: pytest.TempPathFactory, drawn: Any, window: Any, wire: str, partition: str | None, zone: str
) -> None:
    rounds, whole = drawn
    assume(whole)
    root = tmp_path_factory.mktemp("stream")
    product = root / "drawn"
    product.mkdir()
    (product / "product.py").write_text(
        PRODUCT.format(zone=zone, wire=wire, partition=partition, window=window[0], every=window[1])
    )
    homes = {name: Settings(home=root / name, spark=SMALL) for name in ("rounds", "once")}
    for number, samples in enumerate(rounds):
        send(homes["rounds"].home, wire, samples)
        forget(product)
        run_streams(product, homes["rounds"], train=run_training, once=True, end=number == len(rounds) - 1)
    send(homes["once"].home, wire, whole)
    forget(product)
    run_streams(product, homes["once"], train=run_training, once=True, end=True)
    assert published(homes["rounds"].home) == published(homes["once"].home)
    forget(product)
    assert check_parity(product, homes["rounds"])["equal"]
    width_us, every_us = (int(length.split()[0]) * 1_000_000 for length in window)
    rows = deltalake.DeltaTable(str(Home(homes["rounds"].home).table("drawn", "windows"))).to_pyarrow_table().to_pylist()
    have = {(row["device"], row["sensor"], int(row["window_start"].timestamp() * 1e6)): row for row in rows if row["readings"]}
    want = counted(whole, width_us, every_us)
    assert have.keys() == want.keys()
    for key, values in want.items():
        row = have[key]
        assert (row["readings"], row["min"], row["max"]) == (len(values), min(values), max(values)), key
        assert row["mean"] == pytest.approx(math.fsum(values) / len(values)), key
