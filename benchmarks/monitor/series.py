"""Real rows in windows whose order is drawn, so that nothing changes over time but what is put in: taxi trips of four hours, hours of bike hire of a day.

A window keeps its own rows, so that windows differ as nights and days, Mondays and Sundays do; only their order is random. Without that, "undisturbed" would be
a belief: bikes have seasons.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(os.environ.get("CAUDAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
WINDOW = "window"


@dataclass(frozen=True)
class Stretch:
    """Windows in a drawn order; the first ``reference`` of them are known before, the others come one by one.

    Parameters
    ----------
    rows : DataFrame, ``window`` from 0, then the columns
    onset : window from which on something is changed; None: nothing is
    """

    name: str
    rows: pd.DataFrame
    reference: int
    onset: int | None = None
    change: str = "nothing"


@dataclass(frozen=True)
class Change:
    """A change of known size."""

    data: str
    column: str
    kind: str
    size: float

    @property
    def words(self) -> str:
        """What it does."""
        sizes = {
            "scale": f"times {self.size:g}",
            "add": f"plus {self.size:g}",
            "null": f"{self.size:.0%} null",
            "swap": f"{self.size:.0%} to another category",
        }
        return f"{self.column} {sizes[self.kind]}"


CHANGES = (
    Change("taxi", "fare_amount", "scale", 1.1), Change("taxi", "fare_amount", "scale", 1.3), Change("taxi", "trip_distance", "scale", 1.5),
    Change("taxi", "payment_type", "swap", 0.2), Change("taxi", "passenger_count", "null", 0.3),
    Change("bikes", "temp", "add", 0.15), Change("bikes", "temp", "add", 0.3), Change("bikes", "cnt", "scale", 1.5), Change("bikes", "cnt", "scale", 2.5),
    Change("bikes", "weathersit", "swap", 0.5),
)  # fmt: skip


def taxi() -> pd.DataFrame:
    """Return the trips of January 2023 by windows of four hours."""
    rows = pd.read_parquet(DATA / "green_taxi" / "green_tripdata_2023-01.parquet")
    at = rows["lpep_pickup_datetime"]
    rows = rows[(at >= "2023-01-01") & (at < "2023-02-01")]
    columns = ["trip_distance", "fare_amount", "tip_amount", "passenger_count", "payment_type", "PULocationID"]
    window = (rows["lpep_pickup_datetime"] - pd.Timestamp("2023-01-01")).dt.total_seconds() // 14_400
    watched = rows[columns].assign(
        payment_type=rows["payment_type"].map("{:g}".format), PULocationID=rows["PULocationID"].astype(str)
    )
    return watched.assign(**{WINDOW: window.astype(int)})


def bikes() -> pd.DataFrame:
    """Return the hours of bike hire by day."""
    rows = pd.read_csv(DATA / "bike_sharing" / "hour_until_2012-06-04.csv")
    window = pd.factorize(rows["dteday"])[0]
    watched = rows[["temp", "hum", "windspeed", "cnt", "hr"]].assign(weathersit=rows["weathersit"].astype(str))
    return watched.assign(**{WINDOW: window})


def stretch(data: str, seed: int, windows: int, reference: int, change: Change | None = None, onset: int | None = None) -> Stretch:
    """Return windows in the order that a seed draws, with a change from ``onset`` on."""
    random = np.random.default_rng(seed)
    rows = {"taxi": taxi, "bikes": bikes}[data]()
    present = np.unique(rows[WINDOW])
    order = random.permutation(present)[:windows]
    place = {window: number for number, window in enumerate(order)}
    rows = rows[rows[WINDOW].isin(order)].assign(**{WINDOW: lambda frame: frame[WINDOW].map(place)})
    rows = rows.sort_values(WINDOW, kind="stable", ignore_index=True)
    if change is None or onset is None:
        return Stretch(f"{data}-{seed}", rows, reference)
    after = (rows[WINDOW] >= onset).to_numpy()
    chosen = after & (random.uniform(size=len(rows)) < (change.size if change.kind in ("null", "swap") else 1))
    values = rows[change.column].copy()
    if change.kind == "scale":
        values = values.astype(float)
        values[chosen] = values[chosen] * change.size
    elif change.kind == "add":
        values[chosen] = values[chosen] + change.size
    elif change.kind == "null":
        values[chosen] = None
    else:
        values[chosen] = values.value_counts().index[1]
    return Stretch(
        f"{data}-{change.column}-{change.size}-{seed}", rows.assign(**{change.column: values}), reference, onset, change.words
    )
