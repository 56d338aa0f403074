"""A sample is named by device, session and number, and its time tells the session: so it is in all that counts samples."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import caudal as cd
from caudal.declarations.detector import Detection
from caudal.declarations.statistics import Statistics
from caudal.stages.statistics import Bounds, Samples, advance, end_stream, new_state, take_samples, window_rows
from caudal.stages.statistics.batch import _chunk
from caudal.stages.statistics.seen import Seen, seen_of
from caudal.streaming.watch import DetectionWatch, of_samples

T0 = 1_700_000_040_000_000  # a whole minute
MINUTES = Statistics(name="s", inputs=("x",), channels=("a",), width_s=60.0, every_s=60.0, late_s=1000.0)


def session(start_s: float, samples: int, rate_hz: float = 64.0, device: int = 0, jitter_us: int = 0, seed: int = 0) -> Samples:
    """Return the samples of a device that counts from 0 at a moment."""
    seq = np.arange(samples)
    at = T0 + round(start_s * 1e6) + (seq * 1e6 / rate_hz).astype(np.int64)
    if jitter_us:
        at = at + np.random.default_rng(seed).integers(0, jitter_us, samples)
    return Samples(np.full(samples, device), seq, at, np.ones((samples, 1), np.float32))


def together(*parts: Samples) -> Samples:
    return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("device", "seq", "at_us", "values")))


def counted(batches: list[Samples]) -> tuple[int, int]:
    """Return readings and duplicates of batches that come one after another."""
    state = new_state(MINUTES)
    for batch in batches:
        state, _, _ = advance(state, [take_samples(batch, MINUTES, state.bounds)], MINUTES)
    _, last = end_stream(state, MINUTES)
    assert sum(window_rows(last, MINUTES).column("readings").to_pylist()) == state.readings
    return state.readings, state.duplicates


@pytest.mark.parametrize("second_starts_s", [0.004, 0.5, 7.0, 29.9])
def test_a_device_that_restarts_within_a_window_loses_nothing(second_starts_s: float) -> None:
    first, second = session(0, 1900), session(second_starts_s, 1900)
    assert counted([first, second]) == (3800, 0)
    assert counted([together(first, second)]) == (3800, 0)
    assert counted([second, first, second, first]) == (3800, 3800)
    table = together(first, second, first).table(("a",))
    assert _chunk(T0 // 60_000_000, table, MINUTES, 60_000_000).column("readings").to_pylist() == [3800]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_has_come_is_told_by_number_and_time_whatever_comes_in_whatever_order(data: Any) -> None:
    rate_hz, jitter_us = data.draw(st.sampled_from([3.0, 64.0, 100.0])), data.draw(st.sampled_from([0, 900, 40_000]))
    starts = data.draw(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60), st.integers(0, 2)), min_size=1, max_size=4))
    parts = [session(start / 10, length, rate_hz, device, jitter_us) for start, length, device in starts]
    samples = together(*parts)
    chance = np.random.default_rng(data.draw(st.integers(0, 99)))
    order = np.arange(len(samples)) if data.draw(st.booleans()) else chance.permutation(len(samples))
    order = np.concatenate([order, chance.integers(0, len(samples), data.draw(st.integers(0, 30)))])
    seen, known = Seen(), dict[tuple[int, int], list[int]]()
    for positions in np.array_split(order, data.draw(st.integers(1, 6))):
        batch = samples.where(positions)
        group = batch.group(60_000_000)
        new = seen.new(group, batch.seq, batch.at_us)
        expected = []
        for device, seq, at_us in zip(batch.device.tolist(), batch.seq.tolist(), batch.at_us.tolist(), strict=True):
            times = known.setdefault((device, seq), [])
            expected.append(at_us not in times)
            times.append(at_us)
        assert new.tolist() == expected
        seen = seen.with_(seen_of(group[new], batch.seq[new], batch.at_us[new]))


def test_regular_times_are_remembered_as_few_runs_and_irregular_ones_are_still_told_apart() -> None:
    regular, state = session(0, 3000), new_state(MINUTES)
    for piece in np.array_split(np.arange(3000), 300):
        state, _, _ = advance(state, [take_samples(regular.where(piece), MINUTES, state.bounds)], MINUTES)
    assert len(state.seen.low) <= 3
    uneven = session(0, 500, jitter_us=9000)
    assert counted([uneven, uneven]) == (500, 500)


def test_detectors_see_a_device_that_restarts_within_a_second() -> None:
    watch, plain = (DetectionWatch(Detection(name, "x", cd.robust_z(window=64)), 1) for name in ("restarted", "plain"))
    first, second = session(0, 20), session(0.5, 20)
    _, seen = of_samples(watch, [first], Seen())
    _, seen = of_samples(watch, [second, first], seen)
    of_samples(plain, [replace(first, seq=first.seq), replace(second, seq=second.seq + 20)], Seen())
    assert watch.states()["restarted/0"] == plain.states()["plain/0"]


def test_a_memory_of_before_goes_on() -> None:
    """What was stored without times knows a number of its pane whatever the time is, as it did."""
    old = Seen.__new__(Seen)
    old.__setstate__({"group": np.array([5 << 41]), "low": np.array([10]), "high": np.array([20])})
    group, seq = np.full(3, 5 << 41), np.array([9, 10, 21])
    assert old.new(group, seq, np.full(3, T0)).tolist() == [True, False, True]
    merged = old.with_(seen_of(group[:1], seq[:1], np.array([T0])))
    assert merged.new(group, seq, np.full(3, T0 + 5_000_000)).tolist() == [True, False, True]
    stored = pickle.dumps(Seen(), protocol=0).replace(b"caudal.stages.statistics.seen\n", b"caudal.stages.statistics.samples\n")
    assert isinstance(pickle.loads(stored), Seen)
    assert take_samples(session(0, 5), MINUTES, Bounds(old)).duplicates == 0
