"""What is missing, in every registered detector: NaN, infinities, gaps of a channel and of all, as docs/anomalies.md says."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from tests.conformance.test_detectors import DECLARED, QUARTER_HOUR_US, readings, scores

from caudal.declarations.detector import Detector
from caudal.stages.detect import operator, restore_operator

EACH_CHANNEL = ("robust_z", "surprise")  # these look at each channel by itself


@pytest.fixture(params=sorted(DECLARED))
def declared(request: pytest.FixtureRequest) -> Detector:
    return DECLARED[request.param]


def test_an_infinity_is_a_missing_value(declared: Detector):
    rows, gone = readings(n=500), np.random.default_rng(5).random((500, 3)) < 0.1
    rows[300:310], gone[300:310] = 0.0, True
    one = operator(declared, 3)
    of_missing = scores(one, np.where(gone, np.float32(np.nan), rows))
    for odd in (np.inf, -np.inf):
        other = operator(declared, 3)
        assert scores(other, np.where(gone, np.float32(odd), rows)) == of_missing, odd
        assert one.state() == other.state(), odd


def test_readings_of_which_all_is_missing_leave_no_trace(declared: Detector):
    rows = readings(n=400)
    one, other = operator(declared, 3), operator(declared, 3)
    whole = scores(one, rows)
    moments = [i * QUARTER_HOUR_US for i in range(400)]
    broken: list[float] = []
    for i, row in enumerate(rows):
        if i in (0, 7, 200):  # at the very beginning too
            for missing in range(50):
                assert other.score(moments[i] + missing, np.full(3, np.nan, np.float32)) == 0.0
        broken.append(other.score(moments[i], row))
    assert broken == whole
    assert one.state() == other.state()


def levels(n: int = 900) -> np.ndarray:
    """Return float32 [n, 2]: each channel at one of two levels, never between them."""
    chance = np.random.default_rng(2)
    return (chance.choice([-10.0, 10.0], size=(n, 2)) + 0.1 * chance.normal(size=(n, 2))).astype(np.float32)


def test_a_missing_value_is_no_anomaly_though_no_value_lies_in_the_middle(declared: Detector):
    rows = levels()
    whole = np.array(scores(operator(declared, 2), rows))
    holes = np.arange(500, 900, 20)
    rows[holes, 1] = np.nan
    found = np.array(scores(operator(declared, 2), rows))
    assert found[holes].max() <= whole[400:].max() + 1e-9


def steady() -> np.ndarray:
    return (4200.0 + np.random.default_rng(4).normal(size=(1200, 3))).astype(np.float32)


@cache
def scores_of_steady(kind: str) -> np.ndarray:
    return np.array(scores(operator(DECLARED[kind], 3), steady()))


@pytest.mark.parametrize(("first", "last"), [(0, 60), (400, 440), (300, 1000)])
def test_neither_a_gap_of_a_channel_nor_its_end_is_an_anomaly(declared: Detector, first: int, last: int):
    if last - first > 100 and declared.kind not in EACH_CHANNEL:
        pytest.skip("detectors of all channels together may report a channel that comes back after longer than their memory")
    rows, whole = steady(), scores_of_steady(declared.kind)
    rows[first:last, 1] = np.nan
    found = np.array(scores(operator(declared, 3), rows[: last + 200]))
    after = slice(max(last, 200), last + 200)
    assert found[after].max() <= max(whole[200:].max() * 1.05, 0.5)


def test_a_channel_that_was_missing_goes_on_bit_for_bit_after_a_restart(declared: Detector):
    rows = readings(n=500)
    rows[:40, 0], rows[100:200, 1], rows[250::7, 2] = np.nan, np.nan, np.inf
    whole = scores(operator(declared, 3), rows)
    first = operator(declared, 3)
    before = scores(first, rows[:150])
    assert before + scores(restore_operator(declared, first.state()), rows[150:], 150) == whole


def test_a_gap_in_time_and_a_step_back_do_no_harm(declared: Detector):
    rows = readings(n=500)
    at_work = operator(declared, 3)
    scores(at_work, rows[:300])
    found = [
        at_work.score(moment, row)
        for moment, row in zip((10_000 * QUARTER_HOUR_US, 5, 0, 301 * QUARTER_HOUR_US), rows[300:], strict=False)
    ]
    assert np.isfinite(found).all()
    assert max(scores(at_work, rows[304:], 304)) <= 1.0
