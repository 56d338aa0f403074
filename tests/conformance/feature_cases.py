"""Each feature that is registered on real taxi trips, with what pandas makes of them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, functions as F

from caudal.declarations.build_context import build_context
from caudal.declarations.images import network
from caudal.stages.features import as_of_join, calendar, lag, past_mean, rolling
from caudal.stages.features.embed import embed
from caudal.stages.features.pca import pca

PAIR = ["pickup", "dropoff"]
DAYS = "14 days"
SIDE, WHOLE = 224, 256  # pixels that the network is given, seven eighths of a picture's: none is made smaller
Case = tuple[DataFrame, pd.DataFrame, list[str]]
"""What a feature makes, the same by pandas, and the key of both."""


def lag_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
    made = lag(hours, ["pickups", "usd"], [1, 24, "7 days"])
    table = hours.toPandas()
    for name, back in (("1", 1), ("24", 24), ("7_days", 168)):
        earlier = table[["pickup", "window_start", "pickups", "usd"]].assign(
            window_start=table["window_start"] + pd.Timedelta(hours=back)
        )
        earlier = earlier.rename(columns={"pickups": f"pickups_lag_{name}", "usd": f"usd_lag_{name}"})
        table = table.merge(earlier, on=["pickup", "window_start"], how="left")
    return made, table, ["pickup", "window_start"]


def rolling_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
    made, table = frame, trips.copy()
    for stat in ("mean", "sum", "min", "max", "count"):
        made = rolling(made, "minutes", "36 hours", stat, by="pickup", name=stat)
    made = rolling(made, "minutes", "36 hours", "sum", by="pickup", closed="right", name="with_own")
    told = rolled(trips)
    return made, table.assign(**{name: told[name] for name in ("mean", "sum", "min", "max", "count", "with_own")}), ["id"]


def rolling_std_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
    return rolling(frame, "minutes", "36 hours", "std", by="pickup", name="std"), trips.assign(std=rolled(trips)["std"]), ["id"]


def rolled(trips: pd.DataFrame) -> dict[str, pd.Series]:
    """Return what pandas and NumPy make of the windows of 36 hours before each trip in its zone."""
    long = pd.Timedelta(hours=36)
    stats = {
        "mean": np.mean,
        "sum": np.sum,
        "min": np.min,
        "max": np.max,
        "std": lambda values: values.std(ddof=1) if len(values) > 1 else np.nan,
    }
    told: dict[str, dict[int, float]] = {name: {} for name in (*stats, "count", "with_own")}
    for _, zone in trips.groupby("pickup"):
        at, minutes = zone["at"].to_numpy(), zone["minutes"].to_numpy()
        present = ~np.isnan(minutes)
        for index, now in zip(zone.index, at, strict=True):
            before = minutes[(at >= now - long) & (at < now) & present]
            own = minutes[(at > now - long) & (at <= now) & present]
            for stat, of in stats.items():
                told[stat][index] = of(before) if len(before) else np.nan
            told["count"][index] = len(before)
            told["with_own"][index] = own.sum() if len(own) else np.nan
    return {name: pd.Series(values) for name, values in told.items()}


def calendar_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
    parts = [
        "hour",
        "quarter_hour",
        "weekday",
        "day_of_month",
        "day_of_year",
        "month",
        "is_weekend",
    ]
    at = trips["at"].dt
    told = {
        "hour": at.hour, "quarter_hour": at.hour * 4 + at.minute // 15, "weekday": at.dayofweek, "day_of_month": at.day,
        "day_of_year": at.dayofyear, "month": at.month, "is_weekend": at.dayofweek >= 5,
    }  # fmt: skip
    return calendar(frame, "at", parts), trips.assign(**{f"at_{part}": told[part] for part in parts}), ["id"]


def calendar_waves_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
    at = trips["at"].dt
    second = at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6
    told = {
        "hour_sin": np.sin(2 * np.pi * second / 86400), "hour_cos": np.cos(2 * np.pi * second / 86400),
        "weekday_sin": np.sin(2 * np.pi * at.dayofweek / 7), "year_cos": np.cos(2 * np.pi * (at.dayofyear - 1) / 365.25),
    }  # fmt: skip
    return calendar(frame, "at", list(told)), trips.assign(**{f"at_{part}": values for part, values in told.items()}), ["id"]


def as_of_join_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
    right = hours.drop("window_start")
    made = as_of_join(frame.drop("usd"), right, "pickup", right_time="window_end", tolerance="5 hours")
    table = trips.drop(columns="usd").sort_values("at")
    known = right.toPandas().sort_values("window_end")
    found = pd.merge_asof(table, known, left_on="at", right_on="window_end", by="pickup", tolerance=pd.Timedelta(hours=5))
    return made, found, ["id"]


def past_mean_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
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


def embed_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
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


def pca_case(frame: DataFrame, hours: DataFrame, trips: pd.DataFrame) -> Case:
    from sklearn.decomposition import PCA

    numbers = ["pickup", "dropoff", "usd"]
    rows = frame.select("id", F.array(*(F.col(name).cast("double") for name in numbers)).alias("numbers"))
    with build_context():
        made = pca(rows, "numbers", components=2)
    scores = PCA(2, svd_solver="full").fit_transform(trips[numbers].to_numpy("float64"))
    return made, trips[["id"]].assign(pc_1=scores[:, 0], pc_2=scores[:, 1]), ["id"]


CASES: dict[str, Callable[[DataFrame, DataFrame, pd.DataFrame], Case]] = {
    "lag": lag_case, "rolling": rolling_case, "rolling std": rolling_std_case, "calendar": calendar_case, "calendar waves": calendar_waves_case,
    "as_of_join": as_of_join_case, "past_mean": past_mean_case, "embed": embed_case, "pca": pca_case,
}  # fmt: skip
"""By the name of a feature; after a space, which of it: what Sail computes and what it does not are two cases."""
REFUSED_ON_SAIL = {
    "rolling std": r"is not known to compute .* as Spark does",
    "calendar waves": r"is not known to compute sin\(double\).* as Spark does",
    "as_of_join": r"is not known to compute .* as Spark does",
    "embed": "embed needs broadcast variables",
    "pca": "pca needs broadcast variables",
}
"""What a run with the engine ``auto`` leaves to Spark, and what it says."""
