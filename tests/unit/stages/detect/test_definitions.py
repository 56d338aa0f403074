"""Detectors and their parts against what their papers define, by hand or by another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.neighbors import LocalOutlierFactor

import caudal as cd
from caudal.stages.detect import operator, restore_operator
from caudal.stages.detect.density import Density
from caudal.stages.detect.half_space_trees import HalfSpaceTrees
from caudal.stages.detect.local_outlier import LocalOutlier
from caudal.stages.detect.past import Past
from caudal.stages.detect.peaks import Peaks
from caudal.stages.detect.points import Points
from caudal.stages.detect.ring import Ring
from caudal.stages.detect.state import StateProblem, pack, unpack
from caudal.stages.detect.views import Daily, Range, Shape

HOUR_US = 3_600_000_000


def test_robust_z_by_hand():
    one = operator(cd.robust_z(window=9), 1)
    for value in (1, 2, 3, 4, 5, 6, 7, 8, 9):
        one.score(0, np.array([value], dtype=np.float32))
    # Median 5, absolute deviations 0 1 1 2 2 3 3 4 4, their median 2: z of 11 is 0.6745 × 6 / 2.
    z = 0.6745 * 6 / 2
    assert one.score(0, np.array([11], dtype=np.float32)) == pytest.approx(z / (z + 3.5), rel=1e-4)


def test_robust_z_forgets_what_left_the_window():
    one = operator(cd.robust_z(window=8), 1)
    for value in [0, 1] * 20 + [100, 101] * 8:
        last = one.score(0, np.array([value], dtype=np.float32))
    assert last < 0.5


def test_the_local_outlier_factor_is_scikit_learns():
    rng = np.random.default_rng(0)
    one = LocalOutlier(cd.local_outlier(neighbours=5, window=40), 2)
    compared = 0
    for i in range(160):
        row = rng.normal(size=2) * (1 if i % 3 else 4)
        if i in (60, 90, 130, 159):
            filled = one._ring.filled.copy()
            twin = Points(2, 1)
            twin.restore({name: value.copy() for name, value in one._points.fields().items()})
            point = twin.point(row)
            expected = -LocalOutlierFactor(n_neighbors=5, novelty=True).fit(filled).score_samples(point[None])[0]
            got = one.judge(0, row)
            assert got == pytest.approx(max(0.0, 1 - 1 / expected), abs=1e-6)
            compared += got > 0
        else:
            one.judge(0, row)
    assert compared > 0


def test_half_space_trees_hold_a_whole_window_and_judge_by_the_last_one():
    one = HalfSpaceTrees(cd.half_space_trees(trees=5, height=4, window=64), 2)
    rng = np.random.default_rng(0)
    given = [one.judge(0, rng.normal(size=2)) for _ in range(64)]
    assert given == [0.0] * 64
    assert {tree.r_mass for tree in one._forest.trees} == {64}
    # A reading whose mass is that of the root alone: less than a tenth of the window lies in every halving that it falls into.
    far = one.judge(0, np.array([1e9, -1e9]))
    assert far > max(one.judge(0, rng.normal(size=2)) for _ in range(30))


def test_half_space_trees_of_another_river_are_not_taken_up():
    declared = cd.half_space_trees(trees=2, height=2, window=16)
    fields = unpack(declared, operator(declared, 1).state())
    with pytest.raises(StateProblem, match=r"River 0\.1"):
        restore_operator(declared, pack(declared, {**fields, "river": "0.1"}))


def test_density_gives_the_distance_to_the_nearest_dense_cluster():
    one = Density(cd.density(radius=1.0), 1)
    for i in range(400):
        one.judge(0, np.array([-10.0 if i % 2 else 10.0]))
    # Standardised, the two clusters lie at -1 and 1: the middle is one deviation from both.
    assert one.judge(0, np.array([0.0])) == pytest.approx(1 / (1 + 3), abs=0.02)
    assert one.judge(0, np.array([10.0])) < 0.05


def test_a_cluster_that_is_not_visited_fades():
    one = Density(cd.density(radius=0.3, fade=1.0), 1)
    rng = np.random.default_rng(0)

    def visit(level: float, n: int) -> None:
        for _ in range(n):
            one.judge(0, np.array([level + 0.1 * rng.normal()]))

    visit(0.0, 200)
    visit(5.0, 200)
    known = one.judge(0, np.array([0.0]))
    visit(5.0, 1500)
    assert one.judge(0, np.array([0.0])) > known + 0.1


def test_points_are_standardised_and_joined_newest_last():
    points = Points(2, lags=2)
    rng = np.random.default_rng(0)
    for _ in range(1500):
        last = points.point(np.array([rng.normal(100, 5), rng.normal(-3, 0.1)]))
    assert last.shape == (4,)
    now = points.point(np.array([110.0, np.nan]))
    assert now[2] == pytest.approx(2.0, abs=0.2)
    assert now[3] == last[3]  # missing: it stands where its channel last stood
    np.testing.assert_array_equal(now[:2], last[2:])


def test_a_spike_does_not_hide_the_next():
    points = Points(1, 1)
    rng = np.random.default_rng(0)
    for _ in range(500):
        points.point(rng.normal(size=1))
    first = points.point(np.array([1000.0]))[0]
    assert points.point(np.array([1000.0]))[0] > 0.8 * first


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(20, 60))
def test_strength_is_the_rank_among_the_last_figures(figures: list[int], memory: int):
    past = Past(memory)
    for i, figure in enumerate(figures):
        got = past.strength(float(figure), excess=0.0)
        among = figures[max(0, i + 1 - memory) : i + 1]
        as_large = sum(other >= figure for other in among)
        expected = math.log(len(among) / as_large) / math.log(len(among) + 20) if len(among) >= 20 else 0.0
        assert got == pytest.approx(expected)


def test_a_record_counts_by_how_far_it_passes_the_last_one():
    def after(figure: float) -> float:
        past = Past(100)
        for i in range(50):
            past.strength(float(i + 1), 0.1)
        return past.strength(figure, 0.1)

    rank = math.log(51) / math.log(71)
    assert after(50 * math.e) == pytest.approx(rank + 0.1)
    assert after(1e9) == pytest.approx(rank + 0.3)


def test_the_range_is_what_is_remembered():
    view = Range(memory=10)
    assert [view.figure(value) for value in (0.0, 1.0, 2.0, 3.0, 4.0)] == [0.0] * 5
    assert view.figure(6.0) == pytest.approx(0.5)
    assert view.figure(5.0) == 0.0
    for _ in range(10):
        view.figure(1.0)
    assert view.figure(6.0) > 1e6  # only ones are remembered


def test_what_is_ordinary_at_noon_is_odd_at_night():
    view, rng = Daily(3600), np.random.default_rng(0)
    for day in range(10):
        for hour in range(24):
            for quarter in range(4):
                level = 10.0 if hour == 12 else 0.0
                view.figure((day * 24 + hour) * HOUR_US + quarter, level + 0.1 * rng.normal(), 2.0)
    assert view.figure((240 + 12) * HOUR_US, 10.0, 2.0) < 3.0
    assert view.figure((240 + 3) * HOUR_US, 10.0, 2.0) > 20.0


def test_a_shape_seen_before_is_near_and_a_new_one_is_far():
    view, rng = Shape(length=8, neighbours=3, memory=500), np.random.default_rng(0)
    wave = [math.sin(i / 4) + 0.05 * rng.normal() for i in range(900)]
    ordinary = [view.figure(value) for value in wave][300:]
    odd = [view.figure(wave[-1]) for _ in range(8)]  # a value of the usual range that does not move
    assert max(odd) > 3 * max(ordinary)


def test_one_anomaly_is_reported_once():
    rng = np.random.default_rng(0)
    loud, once = operator(cd.surprise(quiet=0), 1), operator(cd.surprise(quiet=100), 1)
    rows = (0.1 * rng.normal(size=700)).astype(np.float32)
    rows[600:650] = 5.0 + 0.1 * rng.normal(size=50).astype(np.float32)
    given_ = [(loud.score(i * HOUR_US // 4, rows[i : i + 1]), once.score(i * HOUR_US // 4, rows[i : i + 1])) for i in range(700)]
    reports = np.array(given_)[600:700]
    limit = 0.5
    assert (reports[:, 0] > limit).sum() > (reports[:, 1] > limit).sum() >= 1
    assert reports[0, 0] == reports[0, 1] > limit


def spiky(n: int = 1500, every: int = 60) -> np.ndarray:
    """Return float32 [n, 1]: noise, and from reading 300 on a spike every so often, the last one twice as high."""
    rows = (0.1 * np.random.default_rng(0).normal(size=(n, 1))).astype(np.float32)
    rows[300::every] += 5.0
    rows[300 + every * ((n - 301) // every)] += 5.0
    return rows


def test_what_a_stream_has_often_shown_is_less_of_an_anomaly():
    rows = spiky()
    plain, used = (
        np.array([one.score(i * HOUR_US // 4, row) for i, row in enumerate(rows)])
        for one in (operator(cd.surprise(quiet=50, habit=habit), 1) for habit in (0.0, 0.5))
    )
    spikes = np.arange(300, 1500, 60)
    assert (used <= plain).all()
    assert used[spikes[0]] == plain[spikes[0]] > 0.3
    later = spikes[5:-1]
    assert (used[later] < 0.7 * plain[later])[plain[later] > 0].all()
    assert used[spikes[-1]] == pytest.approx(plain[spikes[-1]] / 2**0.5)  # but for the first, none before it was as high


def test_peaks_are_counted_once_an_anomaly_and_go_on_after_a_restart():
    peaks = Peaks(apart=3)
    assert [peaks.count_earlier(score) for score in (0.2, 0.5, 0.3, 0.0, 0.0, 0.0, 0.0, 0.4, 0.6, 0.0, 0.0, 0.0, 0.5)] == [
        *[0] * 7, 1, 0, 0, 0, 0, 2,
    ]  # fmt: skip
    again = Peaks(apart=3)
    again.restore({name: np.copy(value) for name, value in peaks.fields().items()})
    later = np.random.default_rng(0).random(9000).round(2) * (np.random.default_rng(1).random(9000) < 0.8)
    assert [again.count_earlier(score) for score in later] == [peaks.count_earlier(score) for score in later]
    assert len(peaks.ring) == len(peaks._sorted) <= 4096


@pytest.mark.parametrize("stopped_after", [5, 310, 700])
def test_surprise_that_reports_once_goes_on_bit_for_bit(stopped_after: int):
    rows, declared = spiky(900), cd.surprise(memory=256, quiet=50)
    whole, first = operator(declared, 1), operator(declared, 1)
    expected = [whole.score(i * HOUR_US // 4, row) for i, row in enumerate(rows)]
    got = [first.score(i * HOUR_US // 4, row) for i, row in enumerate(rows[:stopped_after])]
    second = restore_operator(declared, first.state())
    got += [second.score(i * HOUR_US // 4, row) for i, row in enumerate(rows[stopped_after:], stopped_after)]
    assert got == expected


def test_a_ring_holds_the_last_rows_in_order():
    ring = Ring(4)
    for value in range(4):
        ring.add(float(value))
    assert ring.ordered().tolist() == [0, 1, 2, 3]
    ring.add(4.0)
    ring.add(5.0)
    assert ring.ordered().tolist() == [2, 3, 4, 5]
    assert len(ring) == 4
