"""Leaving a category out: nothing of it is in what is chosen, and what is calibrated is what the detector does."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.nab.corpus import Stream
from benchmarks.nab.left_out import TAILS, bare, by_habit, leave_out, once
from tests.unit.benchmarks.nab.test_scoring import alarms, stream

import caudal as cd
from caudal.stages.detect import operator


def corpus() -> list[Stream]:
    return [stream(name=f"{folder}/{number}.csv") for folder in ("a", "b", "c") for number in range(2)]


def test_what_is_chosen_knows_nothing_of_the_category_that_is_left_out():
    streams = corpus()
    # "overfitted" is perfect but for the category c, where it is silent; "steady" finds each window in its middle.
    family = {
        "overfitted": [alarms(40) if one.name[0] != "c" else alarms() for one in streams],
        "steady": [alarms(44) for _ in streams],
    }
    outcome = leave_out("both", streams, family)
    assert {folder: row[0] for folder, row in outcome.categories.items()} == {"a": "steady", "b": "steady", "c": "overfitted"}
    assert outcome.categories["c"][3] == 0.0  # chosen on a and b, where it was perfect
    assert outcome.categories["c"][2] == pytest.approx(100.0)
    each = [row[3] for row in outcome.categories.values()]
    assert outcome.left_out == pytest.approx(np.mean(each))
    assert outcome.gap > 0


def test_the_threshold_comes_from_the_others_too():
    streams = corpus()
    scores = [alarms(40) * (0.4 if one.name[0] == "c" else 0.8) for one in streams]
    outcome = leave_out("scaled", streams, {"only": scores})
    assert outcome.categories["c"][1] == 0.8
    assert outcome.categories["c"][3] == 0.0
    assert outcome.categories["a"][1] == 0.4


@pytest.mark.parametrize(("quiet", "habit"), [(20, 0.0), (20, 0.3), (120, 0.5)])
def test_a_calibration_by_habit_is_what_the_detector_does(quiet: int, habit: float):
    rows = np.random.default_rng(1).standard_t(2, size=(900, 1)).astype(np.float32)
    plain, whole = (operator(cd.surprise(quiet=length, habit=habit), 1) for length in (0, quiet))
    scores = np.array([plain.score(i * 300_000_000, row) for i, row in enumerate(rows)])
    expected = [whole.score(i * 300_000_000, row) for i, row in enumerate(rows)]
    assert by_habit(scores, quiet, habit) == pytest.approx(expected, rel=1e-12)
    assert max(expected) > 0.5
    one = Stream("a/one.csv", np.arange(900) * 300_000_000, rows[:, 0].astype(np.float64), ())
    assert bare([one])["shape 14, daily 1"][0].clip(0, 1).tolist() == scores.tolist()


@pytest.mark.parametrize("name", sorted(TAILS))
def test_no_calibration_looks_ahead(name: str):
    scores = np.random.default_rng(0).random(600)
    other = np.concatenate([scores[:400], 1.0 - scores[400:]])
    assert TAILS[name](scores)[:400].tolist() == TAILS[name](other)[:400].tolist()


def test_a_score_is_reported_where_it_is_the_highest_for_a_while():
    assert once(np.array([0.1, 0.3, 0.2, 0.3, 0.2, 0.1, 0.4]), 3).tolist() == [0.1, 0.3, 0.0, 0.0, 0.0, 0.0, 0.4]
