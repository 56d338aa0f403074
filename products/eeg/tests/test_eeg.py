"""Features of the headset, called plainly with small frames."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from caudal.graph.load import load

FIRST, SECOND = dt.datetime(2023, 1, 2, 9, 0), dt.datetime(2023, 1, 2, 9, 20)


@pytest.fixture(scope="module")
def eeg():
    return load(Path(__file__).parents[1])


@pytest.mark.slow
def test_a_headset_that_restarts_keeps_the_labels_of_both_sessions(eeg, spark):
    ends = [start + dt.timedelta(seconds=second) for start in (FIRST, SECOND) for second in (1, 2)]
    seconds = spark.createDataFrame(
        [(0, "O1", end, 1.0, 2.0, 3.0) for end in ends],
        "device long, sensor string, window_end timestamp, theta_power double, alpha_power double, beta_power double",
    )
    noted = [
        (0, number, start + dt.timedelta(seconds=number / 2), closed)
        for start, closed in ((FIRST, 0.0), (SECOND, 1.0))
        for number in range(4)
    ]
    labels = spark.createDataFrame([*noted, *noted], "device long, seq long, at timestamp, eyes_closed float")
    rows = eeg.nodes["brain_seconds"].function(seconds, labels).collect()
    assert {row["window_end"]: row["eyes"] for row in rows} == dict(zip(ends, ("open", "open", "closed", "closed"), strict=True))
