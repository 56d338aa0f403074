"""Random frames judged by every kind of rule, compared row for row with an independent computation in pandas."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from caudal import expect as ex
from caudal.stages.enforce.judging import judge

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = "id int, zone long, fare double, kind string, at int, day string"
row = st.tuples(
    st.one_of(st.none(), st.integers(0, 6)),
    st.one_of(st.none(), st.integers(0, 5)),
    st.one_of(st.none(), st.sampled_from([-2.0, -0.0, 0.5, 3.0, 7.0, 50.0, float("nan"), float("inf")])),
    st.one_of(st.none(), st.sampled_from(["cash", "card", "Cash", "", "a\n"])),
    st.integers(0, 4),
    st.sampled_from(["2023-01-01", "2023-01-02"]),
)
actions = st.sampled_from(["warn", "quarantine"])


def pandas_broken(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return, rule by rule, which rows break it; written without a look at the rules' code."""
    fare, kind = frame.fare, frame.kind
    is_nan = pd.Series([isinstance(x, float) and np.isnan(x) for x in frame.fare], frame.index)  # object column: None is no NaN
    there = pd.Series([x is not None for x in fare], frame.index)
    number = pd.Series([x if x is not None else 0.0 for x in fare], frame.index).astype(float)
    text = pd.Series([x is not None for x in kind], frame.index)
    broken = {
        "not_null(zone)": frame.zone.isna(),
        "between(fare, 0, 10)": there & (is_nan | (number < 0) | (number > 10)),
        "positive(fare)": there & (is_nan | (number <= 0)),
        "one_of(kind, cash, card)": text & ~kind.isin(["cash", "card"]),
        "matches(kind, [a-z]+)": text & ~kind.map(lambda x: x is None or (x != "" and all("a" <= c <= "z" for c in x))),
        "refers_to(zone, zones, z)": ~frame.zone.isna() & ~frame.zone.isin([1, 2, 3]),
        "no free cards": text & there & (kind == "card") & ~is_nan & (number <= 0),
    }
    falling = pd.Series(False, frame.index)
    for i, one in frame.iterrows():
        if one.fare is None:
            continue
        if is_nan[i]:
            falling[i] = True
            continue
        same = frame[
            (frame.day == one.day)
            & (frame["at"] < one["at"])
            & (frame.zone.isna() if pd.isna(one.zone) else frame.zone == one.zone)
        ]
        before = [x for x in same.fare if x is not None and not np.isnan(x)]
        falling[i] = any(x > one.fare for x in before)
    broken["monotone(fare, at, by=zone)"] = falling
    return broken


RULES = {
    "not_null(zone)": ex.not_null("zone"),
    "between(fare, 0, 10)": ex.between("fare", 0, 10),
    "positive(fare)": ex.positive("fare"),
    "one_of(kind, cash, card)": ex.one_of("kind", "cash", "card"),
    "matches(kind, [a-z]+)": ex.matches("kind", "[a-z]+"),
    "refers_to(zone, zones, z)": ex.refers_to("zone", "zones", "z"),
    "no free cards": ex.sql("NOT (kind = 'card' AND fare <= 0)", name="no free cards"),
    "monotone(fare, at, by=zone)": ex.monotone("fare", over="at", by="zone"),
}


def comparable(values: Any) -> tuple[str, ...]:
    """Return a row so that NaN equals NaN and stands apart from null."""
    return tuple(
        "null" if value is None or value is pd.NA else f"{value:g}" if isinstance(value, int | float) else str(value)
        for value in values
    )


@pytest.mark.slow
@settings(max_examples=14, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rows=st.lists(row, max_size=80),
    chosen=st.dictionaries(st.sampled_from(sorted(RULES)), actions),
    unique=st.one_of(st.none(), actions),
    parts=st.integers(1, 4),
    once=st.booleans(),
)
def test_no_row_is_lost_or_doubled_and_every_verdict_is_that_of_pandas(
    rows: list[tuple[Any, ...]],
    chosen: dict[str, str],
    unique: str | None,
    parts: int,
    once: bool,
    spark: SparkSession,
    tmp_path: Path,
) -> None:
    raw, written = tmp_path / "raw", tmp_path / "written"
    for folder in (raw, written):
        shutil.rmtree(folder, ignore_errors=True)
    spark.createDataFrame(rows, COLUMNS).repartition(parts).write.parquet(str(raw))
    frame = spark.read.schema(COLUMNS).parquet(str(raw))
    frame = frame.repartition(parts) if once else frame
    rules = [getattr(RULES[name], action)() for name, action in chosen.items()]
    rules += [getattr(ex.unique("id"), unique)()] if unique else []
    zones = spark.createDataFrame([(1,), (2,), (3,), (3,), (None,)], "z long")
    judged = judge(frame, rules, others={"zones": zones}, day="day")
    judged.write(written, ["day"])
    outcome = judged.outcome(written)

    data = pd.DataFrame(rows, columns=[one.split()[0] for one in COLUMNS.split(", ")], dtype=object)
    expected = {name: broken for name, broken in pandas_broken(data).items() if name in chosen} if rows else {}
    aside = pd.Series(False, data.index)
    for name, broken in expected.items():
        if chosen[name] == "quarantine":
            aside |= broken.astype(bool)
    got = [] if outcome.rows == 0 else spark.read.schema(judged.frame.schema).parquet(str(written)).collect()
    names = list(data.columns)

    assert Counter(comparable(one[name] for name in names) for one in got) == Counter(comparable(one) for one in rows)
    assert (outcome.rows, outcome.good + outcome.quarantined) == (len(rows), len(rows))
    by_name = {check.expectation: check for check in outcome.checks}
    assert all(by_name[name].broken == int(broken.sum()) for name, broken in expected.items())

    groups = data[~data.id.isna()].assign(aside=aside).groupby(["day", "id"]) if rows else []
    repeats = sum(len(group) - 1 for _, group in groups)
    if unique:
        assert by_name["unique(id)"].broken == repeats
    if unique == "quarantine":
        survivors = Counter((key[0], int(key[1])) for key, group in groups if not group.aside.all())
        assert Counter((one.day, one.id) for one in got if one._verdict == "good" and one.id is not None) == survivors
        assert max(survivors.values(), default=0) <= 1
        reasons = Counter(reason for one in got for reason in one._reasons or ())
        assert reasons == Counter(outcome.reasons)
    else:
        good = Counter(comparable(one) for one, out in zip(rows, aside, strict=True) if not out)
        assert Counter(comparable(one[name] for name in names) for one in got if one._verdict == "good") == good
    assert all((one._verdict == "good") == (one._reasons is None) == (one._raw is None) for one in got)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=st.lists(row, min_size=2, max_size=80), seed=st.integers(0, 2**31), parts=st.integers(1, 5))
def test_the_same_rows_stay_whatever_the_order_of_files(
    rows: list[tuple[Any, ...]], seed: int, parts: int, spark: SparkSession, tmp_path: Path
) -> None:
    rules = [
        ex.unique("id").quarantine(),
        ex.positive("fare").quarantine(),
        ex.monotone("fare", over="at", strict=True).quarantine(),
    ]
    kept = []
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    for i, (content, pieces) in enumerate(((rows, 1), (shuffled, parts))):
        raw, written = tmp_path / f"raw{i}", tmp_path / f"written{i}"
        for folder in (raw, written):
            shutil.rmtree(folder, ignore_errors=True)
        spark.createDataFrame(content, COLUMNS).repartition(pieces).write.parquet(str(raw))
        judge(spark.read.schema(COLUMNS).parquet(str(raw)), rules).write(written)
        kept.append(Counter(comparable(one) for one in spark.read.parquet(str(written)).drop("_raw").collect()))
    assert kept[0] == kept[1]
