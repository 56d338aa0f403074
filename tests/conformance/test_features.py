"""Every feature that is registered, against pandas on real taxi trips, and against a future that comes out differently.

A new feature needs a case in ``CASES`` (the call, and the same in pandas) and one in ``WORLDS``; without them a test fails by its name.
Those of long sums say in ``APART`` how far they may differ; what is fitted is held to what a version has kept.
"""

from __future__ import annotations

import datetime as dt
import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pyspark.sql import DataFrame, Window, functions as F

from caudal.declarations.build_context import build_context
from caudal.declarations.images import network
from caudal.kinds import FEATURES
from caudal.stages.features import as_of_join, calendar, lag, past_mean, rolling
from caudal.stages.features.embed import embed
from caudal.stages.features.pca import pca
from caudal.stages.tables import tumble

PAIR = ["pickup", "dropoff"]
DAYS = "14 days"
SIDE, WHOLE = 224, 256  # pixels that the network is given, seven eighths of a picture's: none is made smaller
# How far results may lie apart that are sums of floating-point numbers in another order.
APART = {"embed": 1e-4, "pca": 1e-8}


@pytest.fixture(scope="module")
def trips() -> pd.DataFrame:
    """Return 2,000 real trips of January 2023 in the six busiest zones, in no order, with all that is odd about them."""
    folder = Path(os.environ.get("CAUDAL_DATA", "../shared/data")) / "green_taxi"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    columns = {
        "lpep_pickup_datetime": "at",
        "lpep_dropoff_datetime": "ended",
        "PULocationID": "pickup",
        "DOLocationID": "dropoff",
        "fare_amount": "usd",
    }
    raw = pd.read_parquet(folder / "green_tripdata_2023-01.parquet", columns=list(columns)).rename(columns=columns)
    busiest = raw["pickup"].value_counts().index[:6]
    some = raw[raw["pickup"].isin(busiest)].sample(2000, random_state=1).reset_index(drop=True)
    some["at"], some["ended"] = some["at"].astype("datetime64[ns]"), some["ended"].astype("datetime64[ns]")
    some["minutes"] = (some["ended"] - some["at"]).dt.total_seconds() / 60
    some.loc[::50, "minutes"] = np.nan
    some["id"] = some.index
    return some


@pytest.fixture(scope="module")
def frame(spark: Any, trips: pd.DataFrame) -> DataFrame:
    """Return the same trips in Spark."""
    schema = "at timestamp_ntz, ended timestamp_ntz, pickup long, dropoff long, usd double, minutes double, id long"
    return spark.createDataFrame(trips, schema).withMetadata("at", {"caudal.event_time": True}).cache()


@pytest.fixture(scope="module")
def hours(frame: DataFrame) -> DataFrame:
    """Return pickups per zone and hour, with holes."""
    return tumble(frame, "1 hour", by=["pickup"]).agg(pickups="count", usd="avg").cache()


def lag_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]]:
    made = lag(hours, ["pickups", "usd"], [1, 24, "7 days"])
    table = hours.toPandas()
    for name, back in (("1", 1), ("24", 24), ("7_days", 168)):
        earlier = table[["pickup", "window_start", "pickups", "usd"]].assign(
            window_start=table["window_start"] + pd.Timedelta(hours=back)
        )
        earlier = earlier.rename(columns={"pickups": f"pickups_lag_{name}", "usd": f"usd_lag_{name}"})
        table = table.merge(earlier, on=["pickup", "window_start"], how="left")
    return made, table, ["pickup", "window_start"]


def rolling_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]]:
    made, table = frame, trips.copy()
    for stat in ("mean", "sum", "min", "max", "std", "count"):
        made = rolling(made, "minutes", "36 hours", stat, by="pickup", name=stat)
    made = rolling(made, "minutes", "36 hours", "sum", by="pickup", closed="right", name="with_own")
    long = pd.Timedelta(hours=36)
    stats = {
        "mean": np.mean,
        "sum": np.sum,
        "min": np.min,
        "max": np.max,
        "std": lambda values: values.std(ddof=1) if len(values) > 1 else np.nan,
    }
    told: dict[str, dict[int, float]] = {name: {} for name in (*stats, "count", "with_own")}
    for _, zone in table.groupby("pickup"):
        at, minutes = zone["at"].to_numpy(), zone["minutes"].to_numpy()
        present = ~np.isnan(minutes)
        for index, now in zip(zone.index, at, strict=True):
            before = minutes[(at >= now - long) & (at < now) & present]
            own = minutes[(at > now - long) & (at <= now) & present]
            for stat, of in stats.items():
                told[stat][index] = of(before) if len(before) else np.nan
            told["count"][index] = len(before)
            told["with_own"][index] = own.sum() if len(own) else np.nan
    return made, table.assign(**{name: pd.Series(values) for name, values in told.items()}), ["id"]


def calendar_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]]:
    parts = [
        "hour",
        "quarter_hour",
        "weekday",
        "day_of_month",
        "day_of_year",
        "month",
        "is_weekend",
        "hour_sin",
        "hour_cos",
        "weekday_sin",
        "year_cos",
    ]
    table, at = trips.copy(), trips["at"].dt
    second = at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6
    told = {
        "hour": at.hour, "quarter_hour": at.hour * 4 + at.minute // 15, "weekday": at.dayofweek, "day_of_month": at.day,
        "day_of_year": at.dayofyear, "month": at.month, "is_weekend": at.dayofweek >= 5, "hour_sin": np.sin(2 * np.pi * second / 86400),
        "hour_cos": np.cos(2 * np.pi * second / 86400), "weekday_sin": np.sin(2 * np.pi * at.dayofweek / 7),
        "year_cos": np.cos(2 * np.pi * (at.dayofyear - 1) / 365.25),
    }  # fmt: skip
    return calendar(frame, "at", parts), table.assign(**{f"at_{part}": told[part] for part in parts}), ["id"]


def as_of_join_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]]:
    right = hours.drop("window_start")
    made = as_of_join(frame.drop("usd"), right, "pickup", right_time="window_end", tolerance="5 hours")
    table = trips.drop(columns="usd").sort_values("at")
    known = right.toPandas().sort_values("window_end")
    found = pd.merge_asof(table, known, left_on="at", right_on="window_end", by="pickup", tolerance=pd.Timedelta(hours=5))
    return made, found, ["id"]


def past_mean_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]]:
    made = past_mean(frame, ["minutes", "usd"], by=PAIR, known="ended", window=DAYS)
    table = trips.copy()
    known = table[["at", "ended"]].max(axis=1)
    told: dict[str, dict[int, float]] = {"minutes": {}, "usd": {}}
    for _, pair in table.groupby(PAIR):
        at, known_at = pair["at"].to_numpy(), known[pair.index].to_numpy()
        values = {column: pair[column].to_numpy() for column in told}
        for index, now in zip(pair.index, at, strict=True):
            seen = (at >= now - pd.Timedelta(DAYS)) & (known_at < now)
            for column, numbers in values.items():
                of_window = numbers[seen & ~np.isnan(numbers)]
                told[column][index] = of_window.mean() if len(of_window) else np.nan
    return made, table.assign(**{f"{column}_past_mean_14_days": pd.Series(means) for column, means in told.items()}), ["id"]


def picture(number: int) -> bytes:
    """Return a small picture, each number's another one."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(WHOLE // 8, 0).repeat(WHOLE // 8, 1)
    image.fromarray(pixels).save(held := io.BytesIO(), "PNG")
    return held.getvalue()


def embed_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]]:
    """Hold the features against the network run by itself on the pixels."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from PIL import Image

    from caudal.stages.images.network import load_model

    some = frame.where("id < 20").select("id", (F.col("pickup") % 3).alias("kind"))
    pictures = frame.sparkSession.createDataFrame([(kind, picture(kind)) for kind in range(3)], "kind long, content binary")
    with build_context():
        made = embed(some.join(pictures, "kind"), network=network("efficientnet-lite0"), size=SIDE, floor=SIDE, batch=4)
    known = load_model(network("efficientnet-lite0"))
    run = onnxruntime.InferenceSession(known.content, providers=["CPUExecutionProvider"])
    middle = slice((WHOLE - SIDE) // 2, (WHOLE + SIDE) // 2)
    pixels = {kind: np.asarray(Image.open(io.BytesIO(picture(kind))).convert("RGB"))[None, middle, middle] for kind in range(3)}
    vectors = {kind: run.run(None, {run.get_inputs()[0].name: known.prepare(image)})[0][0] for kind, image in pixels.items()}
    table = trips[trips["id"] < 20][["id"]].assign(kind=trips["pickup"] % 3)
    table["embedding"] = table["kind"].map(lambda kind: vectors[kind].tolist())
    table["network"] = f"efficientnet-lite0@{known.sha256[:12]}/{SIDE}"
    return made.drop("_format_errors", "_raw"), table, ["id"]


def pca_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> tuple[DataFrame, pd.DataFrame, list[str]]:
    from sklearn.decomposition import PCA

    numbers = ["pickup", "dropoff", "usd"]
    rows = frame.select("id", F.array(*(F.col(name).cast("double") for name in numbers)).alias("numbers"))
    with build_context():
        made = pca(rows, "numbers", components=2)
    scores = PCA(2, svd_solver="full").fit_transform(trips[numbers].to_numpy("float64"))
    return made, trips[["id"]].assign(pc_1=scores[:, 0], pc_2=scores[:, 1]), ["id"]


CASES: dict[str, Callable[..., tuple[DataFrame, pd.DataFrame, list[str]]]] = {
    "lag": lag_case, "rolling": rolling_case, "calendar": calendar_case, "as_of_join": as_of_join_case, "past_mean": past_mean_case,
    "embed": embed_case, "pca": pca_case,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_a_feature_gives_what_pandas_gives(name: str, frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> None:
    made, expected, key = CASES[name](frame, hours, trips)
    found = made.toPandas().sort_values(key).reset_index(drop=True)
    expected = expected.sort_values(key).reset_index(drop=True)
    assert sorted(found.columns) == sorted(expected.columns)
    added = [column for column in found.columns if column not in frame.columns]
    assert found[added].notna().any().all(), "a column without a value tells nothing"
    apart = APART.get(name, 1e-12)
    pd.testing.assert_frame_equal(found, expected[list(found.columns)], check_dtype=False, rtol=apart, atol=apart)


@pytest.mark.parametrize("name", sorted(APART))
def test_a_feature_of_long_sums_is_the_same_however_rows_lie(
    name: str, frame: DataFrame, hours: DataFrame, trips: pd.DataFrame
) -> None:
    one, _, key = CASES[name](frame, hours, trips)
    two, _, _ = CASES[name](frame.repartition(5, "usd"), hours, trips)
    first, second = (made.toPandas().sort_values(key).reset_index(drop=True) for made in (one, two))
    pd.testing.assert_frame_equal(first, second[list(first.columns)], rtol=APART[name], atol=APART[name])


@pytest.mark.parametrize("name", sorted(set(FEATURES) - set(APART)))
def test_a_feature_is_the_same_to_the_bit_however_rows_lie(
    name: str, frame: DataFrame, hours: DataFrame, trips: pd.DataFrame
) -> None:
    one, _, key = CASES[name](frame, hours, trips.head(1))
    two, _, _ = CASES[name](frame.repartition(5, "usd"), hours.repartition(3, "usd"), trips.head(1))
    assert one.toPandas().sort_values(key).reset_index(drop=True).equals(two.toPandas().sort_values(key).reset_index(drop=True))


# --- the future -------------------------------------------------------------------------------------------------------------------
# Two worlds lie in one frame, told apart by a key column: they agree in all that is known by T and in nothing after it. The worlds of
# all cases lie in the same frame, so that one job of Spark answers for all of them.

START = dt.datetime(2024, 1, 1)
STEP = 15
events = st.lists(
    st.tuples(
        st.integers(0, 40),  # quarter-hours since the start
        st.integers(0, 1),  # zone
        st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(math.nan)),
        st.one_of(st.none(), st.integers(-20, 300)),  # minutes until the value is known
    ),
    max_size=30,
)
Case = tuple[list[Any], list[Any], list[Any], int]
"""The past that both worlds share, what comes later in each, and the quarter-hour T."""


def drawn_cases(number: int) -> list[Case]:
    """Return cases as Hypothesis draws them, the same ones each time."""
    cases: list[Case] = []

    @settings(max_examples=number, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(events, events, events, st.integers(5, 35)))
    def draw(case: Case) -> None:
        cases.append(case)

    draw()
    return cases


def two_worlds(spark: Any, cases: list[Case], grid: bool) -> DataFrame:
    """Return events of both worlds of each case: the past up to quarter-hour T is shared, what is known later differs."""
    rows = []
    for place, (past, one, two, cut) in enumerate(cases):
        for world, later in enumerate((one, two)):
            merged = [event for event in past if event[0] <= cut] + [event for event in later if event[0] > cut]
            seen = set()
            for number, (at, zone, value, delay) in enumerate(merged):
                if grid and (at, zone) in seen:
                    continue
                seen.add((at, zone))
                time = START + dt.timedelta(minutes=at * STEP)
                known = None if delay is None else time + dt.timedelta(minutes=delay)
                if known is not None and max(known, time) > START + dt.timedelta(minutes=cut * STEP):  # not known by T: differs
                    value, known = (value or 0.0) + 1 + world, max(known, time) + dt.timedelta(minutes=world)
                rows.append((2 * place + world, number, time, known, zone, value))
    schema = "world int, number int, at timestamp_ntz, known timestamp_ntz, zone int, value double"
    return spark.createDataFrame(rows, schema).coalesce(1).withMetadata("at", {"caudal.event_time": True})


def differing(made: DataFrame, cases: list[Case], features: list[str]) -> list[Any]:
    """Return the rows up to T whose features are not the same in both worlds of a case, each with the case."""
    pairs: dict[tuple[int, int], list[Any]] = {}
    for row in made.select("world", "number", "at", *features).collect():
        place, _ = divmod(row["world"], 2)
        if row["at"] <= START + dt.timedelta(minutes=cases[place][3] * STEP):
            pairs.setdefault((place, row["number"]), []).append([None if _nan(row[name]) else row[name] for name in features])
    return [(number, cases[place]) for (place, number), pair in pairs.items() if len(pair) != 2 or pair[0] != pair[1]]


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def lag_world(frame: DataFrame) -> DataFrame:
    return lag(frame, "value", [1, 4], by=["world", "zone"], step="15 minutes")


def rolling_world(frame: DataFrame) -> DataFrame:
    for stat in ("mean", "max", "std", "count"):
        frame = rolling(frame, "value", "2 hours", stat, by=["world", "zone"])
    return frame


def calendar_world(frame: DataFrame) -> DataFrame:
    return calendar(frame, "at", ["hour", "weekday", "hour_sin"])


def as_of_join_world(frame: DataFrame) -> DataFrame:
    right = frame.select("world", "zone", F.col("known").alias("told"), F.col("value").alias("found"))
    return as_of_join(frame, right, ["world", "zone"], right_time="told", tolerance="3 hours").drop("told")


def past_mean_world(frame: DataFrame) -> DataFrame:
    return past_mean(frame, "value", by=["world", "zone"], known="known", window="5 hours")


def embed_world(frame: DataFrame) -> DataFrame:
    seen = frame.withColumn("content", F.when(F.col("value") > 0, F.lit(picture(0))).otherwise(F.lit(picture(1))))
    with build_context():
        return embed(seen, network=network("efficientnet-lite0"), size=SIDE, floor=SIDE, batch=4)


def pca_world(frame: DataFrame) -> DataFrame:
    """Return what a model's version is given: components that were fitted when it was trained."""
    numbers = frame.withColumn(
        "numbers", F.array(F.coalesce(F.nanvl("value", F.lit(0.0)), F.lit(0.0)), F.col("zone").cast("double"))
    )
    trained = frame.sparkSession.createDataFrame([([1.0, 2.0],), ([2.0, 1.0],), ([4.0, 0.0],)], "numbers array<double>")
    with build_context() as training:
        pca(trained, "numbers", components=1)
    with build_context(before=training.kept, fits="only"):
        return pca(numbers, "numbers", components=1)


# name: the feature, and whether its rows lie on a grid with values known at their own time
WORLDS: dict[str, tuple[Callable[[DataFrame], DataFrame], bool]] = {
    "lag": (lag_world, True), "rolling": (rolling_world, True), "calendar": (calendar_world, False),
    "as_of_join": (as_of_join_world, False), "past_mean": (past_mean_world, False),
    "embed": (embed_world, True), "pca": (pca_world, True),
}  # fmt: skip


CASES_OF = {"embed": 6}  # where each row costs a run of the network


def seen_in(spark: Any, make: Callable[[DataFrame], DataFrame], at_once: bool, cases: list[Case]) -> list[Any]:
    if at_once:  # a value is known when its row happens
        cases = [
            (*([(at, zone, value, 0) for at, zone, value, _ in rows] for rows in (past, one, two)), cut)
            for past, one, two, cut in cases
        ]
    frame = two_worlds(spark, cases, grid=at_once)
    made = make(frame)
    return differing(made, cases, [name for name in made.columns if name not in frame.columns])


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_no_feature_sees_the_future(name: str, spark: Any) -> None:
    make, at_once = WORLDS[name]
    assert seen_in(spark, make, at_once, drawn_cases(int(os.environ.get("CAUDAL_EXAMPLES", CASES_OF.get(name, 40))))) == []


def test_the_two_worlds_tell_a_feature_that_sees_the_future(spark: Any) -> None:
    case = ([(4, 0, 1.0, 0), (8, 0, 2.0, 60)], [(9, 0, 3.0, 0)], [(9, 0, 4.0, 0)], 8)
    still = ([(4, 0, 1.0, 0)], [], [], 8)
    ordered = Window.partitionBy("world", "zone").orderBy("at")
    found = seen_in(spark, lambda frame: frame.withColumn("x", F.lead("value").over(ordered)), True, [still, case])
    assert {len(past) for _, (past, *_) in found} == {2}
    # Known an hour after T: its own time tells nothing.
    late = ([(6, 0, 2.0, 60), (8, 0, 1.0, 0)], [], [], 8)
    assert seen_in(spark, lambda frame: past_mean(frame, "value", by="world", known="at", window="1 day"), False, [late]) != []
