"""Statistics of windows are those that pandas gives, however the samples are spread over tasks, batches and time."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from caudal.declarations.statistics import EEG_BANDS, Statistics
from caudal.stages.statistics import (
    Bounds,
    Samples,
    advance,
    end_stream,
    have_common_samples,
    new_state,
    of_table,
    take_samples,
    window_rows,
)

CHANNELS = ("a", "b", "c")
DECLARED = Statistics(
    name="s", inputs=("x",), channels=CHANNELS, ranges=(4190.0, 4200.0, 4230.0), quantiles=(0.05, 0.5, 0.95), centre=4200.0,
    bands=EEG_BANDS, rate_hz=128.0, late_s=0.5,
)  # fmt: skip
T0 = 1_700_000_000_000_000


def made(seconds: float = 6, devices: int = 2, seed: int = 0, channels: int = 3) -> Samples:
    """Return samples of devices at 128 Hz, as they were taken."""
    chance = np.random.default_rng(seed)
    n = int(seconds * 128)
    seq = np.arange(n)
    at = T0 + (seq * 1e6 / 128).astype(np.int64)
    values = (4200 + 20 * np.sin(2 * np.pi * 10 * seq / 128)[:, None] + chance.normal(0, 9, (n, channels))).astype(np.float32)
    return Samples(
        np.repeat(np.arange(devices), n),
        np.tile(seq, devices),
        np.tile(at, devices),
        np.concatenate([values + i for i in range(devices)]),
    )


def whole(samples: Samples, declared: Statistics = DECLARED) -> pa.Table:
    """Return all rows of samples that come at once."""
    return streamed([[samples]], declared)


def streamed(batches: list[list[Samples]], declared: Statistics = DECLARED) -> pa.Table:
    """Return the rows of batches, each taken by tasks."""
    state, out = new_state(declared), []
    for tasks in batches:
        found = [take_samples(one, declared, state.bounds) for one in tasks]
        if have_common_samples(found):
            joined = Samples(
                *(np.concatenate([getattr(one, name) for one in tasks]) for name in ("device", "seq", "at_us", "values"))
            )
            found = [take_samples(joined, declared, state.bounds)]
        state, closed, _ = advance(state, found, declared)
        out.append(window_rows(closed, declared))
    state, closed = end_stream(state, declared)
    out.append(window_rows(closed, declared))
    assert len(state.open) == 0
    return pa.concat_tables(out).sort_by([("device", "ascending"), ("window_start", "ascending"), ("sensor", "ascending")])


def test_rows_are_those_of_pandas() -> None:
    samples = made()
    got = whole(samples).to_pandas()
    frame = samples.table(CHANNELS).to_pandas()
    long = frame.melt(["device", "seq", "at"], list(CHANNELS), "sensor").assign(window_start=lambda f: f["at"].dt.floor("1s"))
    long["value"] = long["value"].astype(np.float64)
    keys = ["device", "window_start", "sensor"]
    want = long.groupby(keys)["value"].agg(["count", "min", "max", "mean", "std"]).reset_index().sort_values(keys)
    assert (got["readings"].to_numpy() == want["count"].to_numpy()).all()
    for name in ("min", "max"):
        assert (got[name].to_numpy() == want[name].to_numpy()).all()
    for name in ("mean", "std"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-10)
    for q, name in ((0.05, "q05"), (0.5, "q50"), (0.95, "q95")):
        exact = long.groupby(keys)["value"].apply(lambda one, q=q: np.quantile(one, q, method="inverted_cdf")).to_numpy()
        assert (np.abs(got[name] - exact) <= np.abs(exact - 4200) / 128 + 1e-3).all()
    edges = [-np.inf, 4190, 4200, 4230, np.inf]
    counts = long.groupby(keys)["value"].apply(lambda one: np.histogram(one, edges)[0].tolist())
    assert [list(one) for one in got["ranges"]] == counts.tolist()
    assert (got["alpha_power"] > 3 * got["beta_power"]).all()
    np.testing.assert_allclose(got["alpha_power"], 200, rtol=0.35)  # a sine of amplitude 20 has power 200


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_how_samples_are_spread_changes_nothing(data: Any) -> None:
    samples = made(3)
    samples = replace(samples, values=samples.values * np.float32(data.draw(st.sampled_from([1, 1e-3, 1e3]))))
    late_free = replace(DECLARED, late_s=10.0)
    want = whole(samples, late_free)
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(samples))
    again = data.draw(st.lists(st.integers(0, len(samples) - 1), max_size=20))  # duplicates
    order = np.concatenate([order, np.array(again, int)])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=6)))
    pieces = [samples.where(part) for part in np.split(order, cuts)]
    tasks = data.draw(st.integers(1, 3))
    batches = [pieces[i : i + tasks] for i in range(0, len(pieces), tasks)]
    assert streamed(batches, late_free).equals(want)


def test_sliding_windows_are_sums_of_panes() -> None:
    sliding = replace(DECLARED, width_s=2.0, every_s=0.5, bands={}, late_s=10.0)
    samples = made(4, devices=1)
    got = whole(samples, sliding).to_pandas().query("sensor == 'a'")
    frame = samples.table(CHANNELS).to_pandas()
    for row in got.itertuples():
        inside = frame[(frame["at"] >= row.window_start) & (frame["at"] < row.window_end)]["a"].astype(np.float64)
        assert row.readings == len(inside) > 0
        assert row.mean == pytest.approx(inside.mean(), rel=1e-12)
    assert len(got) == 4 * 2 + 3
    pieces = [samples.where(np.arange(i, len(samples), 4)) for i in range(4)]
    assert streamed([pieces], sliding).equals(whole(samples, sliding))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_sessions_end_after_a_silence_however_samples_are_spread(data: Any) -> None:
    sessions = replace(DECLARED, gap_s=0.25, bands={}, late_s=100.0)
    samples = made(6)
    silent = np.zeros(len(samples), bool)
    for start, length in data.draw(st.lists(st.tuples(st.integers(0, 5900), st.integers(1, 900)), max_size=4)):
        silent |= (samples.at_us >= T0 + start * 1000) & (samples.at_us < T0 + (start + length) * 1000)
    samples = samples.where(~silent)
    frame = samples.table(CHANNELS).to_pandas().sort_values(["device", "at"])
    begins = frame.groupby("device")["at"].diff() > pd.Timedelta("250ms")
    frame["session"] = begins.groupby(frame["device"]).cumsum()
    want = frame.groupby(["device", "session"])["at"].agg(["min", "max", "size"])
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(samples))
    order = order if data.draw(st.booleans()) else np.arange(len(samples))
    pieces = [samples.where(part) for part in np.array_split(order, data.draw(st.integers(1, 6)))]
    got = streamed([[one] for one in pieces], sessions)
    assert got.equals(whole(samples, sessions))
    one = got.to_pandas().query("sensor == 'a'")
    assert (one["window_start"].to_numpy() == want["min"].to_numpy()).all()
    assert (one["window_end"].to_numpy() == (want["max"] + pd.Timedelta("250ms")).to_numpy()).all()
    assert (one["readings"].to_numpy() == want["size"].to_numpy()).all()


def test_a_session_is_closed_when_nothing_in_time_can_belong_to_it() -> None:
    sessions = replace(DECLARED, gap_s=0.25, bands={}, late_s=0.5)
    one, other = made(2, devices=1), made(2, devices=1)
    other = replace(other, at_us=other.at_us + 3_000_000, seq=other.seq + 256)
    state, closed, open_ = advance(new_state(sessions), [take_samples(one, sessions, Bounds())], sessions)
    assert (len(closed), len(state.open), len(open_)) == (0, 1, 1)
    state, closed, _ = advance(state, [take_samples(other, sessions, state.bounds)], sessions)
    assert closed.samples.tolist() == [256]
    state, closed, _ = advance(state, [take_samples(one, sessions, state.bounds)], sessions)
    assert (state.late, len(closed)) == (256, 0)
    assert end_stream(state, sessions)[1].samples.tolist() == [256]


def test_windows_of_many_samples_are_counted_and_tell_the_same() -> None:
    samples = made(200, devices=1)
    minutes = replace(DECLARED, width_s=100.0, every_s=100.0, bands={}, late_s=1000.0)
    want = whole(samples, minutes)
    pieces = [samples.where(part) for part in np.array_split(np.random.default_rng(3).permutation(len(samples)), 9)]
    state = new_state(minutes)
    for one in pieces:
        state, _, _ = advance(state, [take_samples(one, minutes, state.bounds)], minutes)
    assert state.open.sketch.shape[1] > 0
    assert streamed([[one] for one in pieces], minutes).equals(want)
    exact = np.quantile(samples.values[: 128 * 100 - 27, 0], 0.5, method="inverted_cdf")
    assert want.to_pandas()["q50"][0] == pytest.approx(exact, abs=0.2)


def test_readings_of_all_magnitudes_add_up_alike() -> None:
    samples = made(8, devices=2)
    samples.values[samples.device == 1] *= np.float32(1e-3)
    mixed = replace(DECLARED, late_s=100.0)
    order = np.random.default_rng(1).permutation(len(samples))
    assert streamed([[samples.where(part)] for part in np.array_split(order, 7)], mixed).equals(whole(samples, mixed))


# Readings about an offset: pressure in Pa, temperature in K, volts, a coordinate in m, currents in A that are too small to be told.
@pytest.mark.parametrize(
    ("offset", "spread"),
    [
        (101_325.0, 0.02),
        (293.15, 1e-3),
        (0.0, 1e-5),
        (1.2e7, 1.0),
        (-4.5e6, 0.5),
        (0.0, 3.0),
        (1e-5, 1e-7),
        (0.0, 1e-9),
        (3e-8, 1e-8),
        (0.0, 1e-20),
    ],
)
def test_means_and_deviations_are_right_or_null_whatever_the_unit(offset: float, spread: float) -> None:
    samples = made(2, devices=1)
    samples.values[:] = np.random.default_rng(5).normal(offset, spread, samples.values.shape).astype(np.float32)
    plain = replace(DECLARED, bands={}, quantiles=(), ranges=())
    got = whole(samples, plain).to_pandas()
    for row in got.itertuples():
        first = round((row.window_start.value / 1000 - T0) * 128 / 1e6)
        readings = samples.values[max(0, first) : first + 128, CHANNELS.index(row.sensor)].tolist()[: row.readings]
        mean, std = statistics.fmean(readings), statistics.stdev(readings)
        assert row.readings == len(readings)
        if not pd.isna(row.mean):
            assert row.mean == pytest.approx(mean, rel=1e-7, abs=1e-7 * max(map(abs, readings)))
        if not pd.isna(row.std):
            assert row.std == pytest.approx(std, rel=1e-4)
    assert got["std"].notna().all() == (spread > 7.5e-9)
    assert got["mean"].notna().all() == (abs(offset) + spread > 2e-8)


def test_readings_that_never_change_have_no_deviation() -> None:
    samples = made(2, devices=1)
    samples.values[:] = np.float32([1e-12, 0.0, 101_325.02])
    got = whole(samples, replace(DECLARED, bands={})).to_pandas().set_index("sensor")
    assert (got["std"] == 0).all()
    assert (got.loc["b", "mean"] == 0).all()
    assert got.loc["a", "mean"].isna().all()


def test_late_samples_and_duplicates_are_counted_and_left_out() -> None:
    samples = made(5, devices=1)
    late = samples.where(samples.at_us < T0 + 200_000)
    rest = samples.where(samples.at_us >= T0 + 200_000)
    state = new_state(DECLARED)
    counts = []
    for one in (rest, late, rest.where(np.arange(len(rest) - 50, len(rest)))):
        state, _, _ = advance(state, [take_samples(one, DECLARED, state.bounds)], DECLARED)
        counts.append((state.samples, state.late, state.duplicates))
    assert counts == [(len(rest), 0, 0), (640, len(late), 0), (690, len(late), 50)]


def test_a_device_may_begin_to_count_anew() -> None:
    samples = made(2, devices=1)
    again = replace(samples, at_us=samples.at_us + 5_000_000)
    got = streamed([[samples], [again]]).to_pandas()
    assert got["readings"].sum() == 2 * len(samples) * 3


def test_what_has_been_seen_of_closed_windows_is_forgotten() -> None:
    state = new_state(DECLARED)
    for second in range(60):
        one = made(1, devices=3)
        one = replace(one, at_us=one.at_us + second * 1_000_000, seq=one.seq + second * 128)
        state, _, _ = advance(state, [take_samples(one, DECLARED, state.bounds)], DECLARED)
    assert len(state.seen.low) <= 3 * 3
    assert state.bytes < 100_000


def test_missing_and_wild_readings_are_left_out_of_all_but_the_count_of_what_is_missing() -> None:
    samples = made(1, devices=1)
    samples.values[3, 0], samples.values[4, 0], samples.values[5, 1] = np.nan, np.inf, 3e9
    got = whole(samples).to_pandas().set_index("sensor")
    assert got["missing"].to_dict() == {"a": 2, "b": 1, "c": 0}
    assert got["max"].max() < 5000
    assert got["readings"]["a"] == 126
    assert sum(got["ranges"]["a"]) == 126


def test_band_power_bridges_small_gaps_and_is_unknown_where_much_is_missing() -> None:
    samples = made(2, devices=1)
    full = whole(samples).to_pandas().query("sensor == 'a'")
    gap = whole(samples.where(np.arange(len(samples)) != 40)).to_pandas().query("sensor == 'a'")
    assert gap["alpha_power"].iloc[0] == pytest.approx(full["alpha_power"].iloc[0], rel=0.2)
    assert gap["alpha_power"].iloc[1] == full["alpha_power"].iloc[1]
    much = whole(samples.where(np.arange(len(samples)) % 5 != 0)).to_pandas()
    assert much["alpha_power"].isna().all()
    samples.values[10, 0] = np.nan
    one = whole(samples).to_pandas()
    assert one["alpha_power"].notna().all()


def test_rows_of_captured_samples_are_the_samples() -> None:
    samples = made(1)
    samples.values[3, 0] = np.nan
    back = of_table(samples.table(CHANNELS), CHANNELS)
    assert np.array_equal(back.values, samples.values, equal_nan=True)
    assert np.array_equal(back.at_us, samples.at_us)


def test_the_mean_keeps_what_doubles_hold() -> None:
    samples = made(1, devices=1)
    tiny = replace(samples, values=(samples.values - np.float32(4200)) * np.float32(1e-7))  # volts
    got = whole(tiny, replace(DECLARED, quantiles=(), ranges=(), bands={})).to_pandas().set_index("sensor")
    want = pd.Series(tiny.values[:, 0].astype(np.float64))
    assert got["std"]["a"] == pytest.approx(want.std(), rel=1e-6)
    assert got["mean"]["a"] == pytest.approx(want.mean(), rel=1e-6)
