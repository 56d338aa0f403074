"""Keys of predictions are those of the features, whichever nulls lie beside them, in the table and in Python."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import caudal as cd
from caudal.batch.batch import run
from caudal.declarations.settings import Settings
from caudal.stages.train.split import hashed_folds
from caudal.tables.frames import pandas_frame

PRODUCT = """
from sklearn.linear_model import LinearRegression
import caudal as cd
product = cd.Product("orders")
product.source("raw", cd.files("*.csv"), schema=cd.schema(order="long", at="timestamp", a="double", y="double"), event_time="at", partition="day")

@product.features(entity="order", as_of="at", labels=["y"], partition="day")
def features(raw):
    return raw.select("order", "at", "a", "y")

model = product.model("y", features=features, label="y", candidates={"linear": LinearRegression()}, split=cd.temporal(test="1 day", folds=1))
by_key = product.model("by_key", features=features, label="y", candidates={"linear": LinearRegression()}, split=cd.hashed(0.3, folds=2))
product.predict(model, name="every")
product.predict(model, name="newest", rows="latest")
"""
FIRST = 2**53 + 1  # from here on a float holds every other whole number only


def deliver(folder: Path, day: int, *, without_order: bool) -> None:
    lines = ["order,at,a,y"]
    for n in range(60):
        order = "" if without_order and n == 7 else FIRST + 1000 * day + n
        at = dt.datetime(2024, 5, day) + dt.timedelta(minutes=20 * n)
        lines.append(f"{order},{at},{n % 7},{2 * (n % 7) + 1}")
    (folder / f"{day}.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_keys_that_no_float_holds_are_predicted_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT)
    for days in ([1, 2], [3], [4]):  # the second increment has an order without a number, those around it have none
        for day in days:
            deliver(folder, day, without_order=day == 3)
        assert run(folder, Settings(home=tmp_path / "home")).error is None
        orders = cd.open(tmp_path / "home")["orders"]
        features, every, newest = (orders[name].to_arrow() for name in ("features", "every", "newest"))
        assert every.schema.field("order").type == newest.schema.field("order").type == pa.int64()
        numbers = features["order"].to_pylist()
        assert sorted(map(str, every["order"].to_pylist())) == sorted(map(str, numbers))
        assert set(newest["order"].to_pylist()) == set(numbers) - {None}
        assert set(orders["features"].to_pandas()["order"].dropna()) == set(numbers) - {None}


def test_a_pandas_frame_holds_the_numbers_of_the_table() -> None:
    columns = {"far": pa.array([2**53 + 1, None]), "near": pa.array([2**53, None]), "key": pa.array([1, None], pa.int32()), "whole": pa.array([2**60, 3]),
               "great": pa.array([2**64 - 1, None], pa.uint64()), "none": pa.array([None, None], pa.int64()), "text": pa.array(["a", None])}  # fmt: skip
    floats = {
        "far": "float64",
        "near": "float64",
        "key": "float64",
        "whole": "int64",
        "great": "float64",
        "none": "float64",
        "text": "object",
    }
    frame = pandas_frame(pa.table(columns))
    assert {name: str(type) for name, type in frame.dtypes.items()} == floats | {"far": "Int64", "great": "UInt64"}
    assert [frame[name][0] for name in ("far", "near", "key", "great")] == [2**53 + 1, 2**53, 1, 2**64 - 1]
    assert frame["far"].isna().tolist() == [False, True]
    keys = pandas_frame(pa.table(columns), ["key", "text"])
    assert {name: str(type) for name, type in keys.dtypes.items()} == floats | {"key": "Int64"}
    assert keys["key"].isna().tolist() == [False, True]


def test_folds_stay_when_a_row_has_no_key() -> None:
    numbers = [*range(200), 2**53 + 1, 2**53 + 2]
    tested = []
    for without in ([], [None]):
        frame = pandas_frame(pa.table({"id": pa.array([*numbers, *without])}), ["id"])
        folds = hashed_folds(frame, cd.hashed(0.25, folds=3), ["id"], pd.Series(pd.Timestamp(0), index=frame.index))
        tested.append([[at for at in fold.test if at < len(numbers)] for fold in folds])
    assert tested[0] == tested[1]
