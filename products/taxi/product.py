"""Green taxi trips of New York: from raw monthly files to trip durations and demand, predicted and served."""

from __future__ import annotations

from pyspark.sql import DataFrame, functions as F
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge

import caudal as cd
from caudal import expect as ex

TRIPS = cd.schema(
    vendor_id=cd.column("long", raw="VendorID"),
    pickup_at=cd.column("timestamp", raw="lpep_pickup_datetime", nullable=False),
    dropoff_at=cd.column("timestamp", raw="lpep_dropoff_datetime", nullable=False),
    store_and_forward=cd.column("string", raw="store_and_fwd_flag"),
    rate_code=cd.column("double", raw="RatecodeID"),
    pickup_zone_id=cd.column("long", raw="PULocationID", nullable=False),
    dropoff_zone_id=cd.column("long", raw="DOLocationID", nullable=False),
    passengers=cd.column("double", raw="passenger_count"),
    miles=cd.column("double", raw="trip_distance", unit="mi"),
    fare_usd=cd.column("double", raw="fare_amount", unit="USD"),
    extra_usd=cd.column("double", raw="extra", unit="USD"),
    mta_tax_usd=cd.column("double", raw="mta_tax", unit="USD"),
    tip_usd=cd.column("double", raw="tip_amount", unit="USD"),
    tolls_usd=cd.column("double", raw="tolls_amount", unit="USD"),
    ehail_fee_usd=cd.column("double", raw="ehail_fee", unit="USD", required=False),
    improvement_surcharge_usd=cd.column("double", raw="improvement_surcharge", unit="USD"),
    total_usd=cd.column("double", raw="total_amount", unit="USD"),
    payment_type=cd.column("double", raw="payment_type"),
    trip_type=cd.column("double", raw="trip_type"),
    congestion_surcharge_usd=cd.column("double", raw="congestion_surcharge", unit="USD", required=False),
)

ZONES = cd.schema(
    zone_id=cd.column("long", raw="LocationID", nullable=False),
    borough=cd.column("string", raw="Borough"),
    zone=cd.column("string", raw="Zone"),
    service_zone=cd.column("string", raw="service_zone"),
)

product = cd.Product(
    "taxi", tz="America/New_York", owner="taxi@example.org", description="Green taxi trips, demand and trip duration."
)

product.source(
    "trips_raw", cd.files("green_*"), schema=TRIPS, event_time="pickup_at", partition="day", trigger=cd.on_arrival(),
    description="Trips as the vendors sent them: dropoff_at, passengers and all money as metered or entered by the driver.",
)  # fmt: skip
product.source(
    "zones", cd.files("taxi_zone_lookup.csv"), schema=ZONES, expect=[ex.unique("zone_id").stop()],
    description="The taxi zones: zone_id and the name of each zone, its borough, and its service_zone (Yellow, Boro, Airports, EWR).",
)  # fmt: skip
product.about(
    "trips_raw",
    vendor_id="The company whose meter sent the trip, as a code",
    store_and_forward="Y where the meter kept the trip until it had a connection",
    rate_code="The rate in effect at the end, as a code: 1 standard, 2 JFK, 5 negotiated …",
    pickup_zone_id="The zone where the meter was switched on",
    dropoff_zone_id="The zone where the meter was switched off",
    payment_type="How it was paid, as a code: 1 card, 2 cash …",
    trip_type="1 hailed in the street, 2 dispatched",
)
product.about("busiest_zones", pickup_day="The day of the pickups", place="The zone's rank in that day, 1 for the most pickups")
product.about("trip_start", pair_miles="Mean distance of such trips in the last two weeks [mi]")


@product.table(
    event_time="pickup_at",
    partition="day",
    known={"dropoff_at": "dropoff_at", "duration_min": "dropoff_at", "miles": "dropoff_at", "fare_usd": "dropoff_at",
           "tip_usd": "dropoff_at", "total_usd": "dropoff_at", "payment_type": "dropoff_at"},
    expect=[
        # Noise: the same trip sent twice. Outliers: beyond what a green taxi does. Nulls: counted, the trip itself is fine.
        ex.unique("trip_id").quarantine(),
        ex.between("pickup_at", "2013-08-01", "2035-01-01").quarantine(),  # green taxis began in August 2013
        ex.between("duration_min", 0.5, 180).quarantine(max_share=0.2),
        ex.between("miles", 0.01, 100).quarantine(max_share=0.2),
        ex.between("fare_usd", 0.01, 500).quarantine(max_share=0.2),
        ex.refers_to("pickup_zone_id", "zones", "zone_id").quarantine(),
        ex.not_null("passengers").warn(),
        ex.row_count(1).stop(),
    ],
)  # fmt: skip
def trips(trips_raw: DataFrame, zones: DataFrame) -> DataFrame:
    """One row per plausible trip, with its duration, its zones and boroughs; key trip_id."""
    pickup = zones.select(
        F.col("zone_id").alias("pickup_zone_id"), F.col("zone").alias("pickup_zone"), F.col("borough").alias("pickup_borough")
    )
    dropoff = zones.select(
        F.col("zone_id").alias("dropoff_zone_id"), F.col("zone").alias("dropoff_zone"), F.col("borough").alias("dropoff_borough")
    )
    seconds = F.unix_timestamp("dropoff_at") - F.unix_timestamp("pickup_at")
    what_makes_a_trip = (
        "vendor_id",
        "pickup_at",
        "dropoff_at",
        "pickup_zone_id",
        "dropoff_zone_id",
        "miles",
        "fare_usd",
        "total_usd",
    )
    return (
        trips_raw.withColumn("trip_id", F.sha1(F.concat_ws("|", *what_makes_a_trip)))
        .withColumn("duration_min", seconds / 60)
        .join(F.broadcast(pickup), "pickup_zone_id", "left")
        .join(F.broadcast(dropoff), "dropoff_zone_id", "left")
        .select(
            "trip_id", "pickup_at", "dropoff_at", "duration_min", "vendor_id", "passengers", "miles", "fare_usd", "tip_usd", "total_usd",
            "payment_type", "trip_type", "pickup_zone_id", "pickup_zone", "pickup_borough", "dropoff_zone_id", "dropoff_zone",
            "dropoff_borough", "_file",
        )
    )  # fmt: skip


@product.table(event_time="window_start", partition="day", expect=[ex.positive("pickups", or_zero=True).stop()])
def pickups_quarter_hour(trips: DataFrame) -> DataFrame:
    """Pickups, mean fare and miles per zone and quarter-hour; quarter-hours without a pickup are filled with 0."""
    windows = cd.tumble(trips, "15 minutes", by=["pickup_zone_id", "pickup_borough"])
    return windows.agg(fill={"pickups": 0}, pickups="count", fare_usd="avg", miles=("sum", "miles"))


@product.table(event_time="window_start", partition="day")
def pickups_hour(trips: DataFrame) -> DataFrame:
    """Pickups, mean fare and duration per zone and hour."""
    return cd.tumble(trips, "1 hour", by=["pickup_zone_id", "pickup_zone"]).agg(pickups="count", fare_usd="avg", duration_min="avg")


@product.table(event_time="window_start", partition="day")
def pickups_day(trips: DataFrame) -> DataFrame:
    """Pickups, takings and miles per borough and day."""
    return cd.tumble(trips, "1 day", by=["pickup_borough"]).agg(pickups="count", takings_usd=("sum", "total_usd"), miles="sum")


product.sql(
    "busiest_zones",
    """
    WITH by_zone AS (
        SELECT to_date(pickup_at) AS pickup_day, min(pickup_at) AS first_pickup_at, pickup_zone, count(*) AS pickups
        FROM trips
        GROUP BY to_date(pickup_at), pickup_zone
    ),
    ranked AS (
        SELECT *, rank() OVER (PARTITION BY pickup_day ORDER BY pickups DESC, pickup_zone) AS place
        FROM by_zone
    )
    SELECT * FROM ranked WHERE place <= 10
    """,
    event_time="first_pickup_at",
    partition="day",
    description="The ten zones with the most pickups of each day.",
)


@product.features(entity="trip_id", as_of="pickup_at", labels=["duration_min"], keep=["pickup_borough"], partition="day")
def trip_start(trips: DataFrame) -> DataFrame:
    """What is known of a trip when it begins: where, where to, when, and how long such trips have taken in the last two weeks."""
    pair = ["pickup_zone_id", "dropoff_zone_id"]
    past = cd.past_mean(
        trips, ["duration_min", "miles"], by=pair, known="dropoff_at", window="14 days", name=["pair_duration_min", "pair_miles"]
    )
    return cd.calendar(past, "pickup_at", ["hour", "weekday", "is_weekend"]).select(
        "trip_id", "pickup_at", "duration_min", "pickup_borough",
        F.col("pickup_zone_id").cast("string").alias("pickup_zone_id"), F.col("dropoff_zone_id").cast("string").alias("dropoff_zone_id"),
        "pickup_at_hour", "pickup_at_weekday", "pickup_at_is_weekend", "passengers", "pair_duration_min", "pair_miles",
    )  # fmt: skip


@product.features(entity="pickup_zone_id", as_of="window_start", labels=["pickups"], keep=["pickup_borough"], partition="day")
def demand(pickups_quarter_hour: DataFrame) -> DataFrame:
    """What is known of a zone's demand when a quarter-hour begins: demand before, and the calendar."""
    keys = ["pickup_zone_id"]
    lagged = cd.lag(pickups_quarter_hour, "pickups", [1, 4, 96], by=keys)
    rolled = cd.rolling(lagged, "pickups", "2 hours", "mean", by=keys)
    return cd.calendar(rolled, "window_start", ["hour", "weekday"]).drop("window_end", "fare_usd", "miles")


duration = product.model(
    "duration",
    features=trip_start,
    label="duration_min",
    horizon="3 hours",  # the longest trip that the rules let through
    candidates={
        "linear": LinearRegression(),
        "ridge": Ridge(alpha=10.0),
        "forest": RandomForestRegressor(n_estimators=60, min_samples_leaf=5, max_features=0.5, n_jobs=2),
        "boosting": HistGradientBoostingRegressor(loss="absolute_error", max_iter=200, learning_rate=0.08),
    },
    split=cd.temporal(test="3 days", folds=3),
    metric="mae",
    gates=[cd.beats_baseline(), cd.beats("linear"), cd.beats_champion(tolerance=0.02), cd.parity("pickup_borough", max_ratio=2.5)],
    unit="min",
    description="How long a trip will take, told when it begins.",
)

forecast = product.model(
    "forecast",
    features=demand,
    label="pickups",
    horizon="15 minutes",
    candidates={
        "ridge": Ridge(alpha=1.0),
        "boosting": HistGradientBoostingRegressor(loss="poisson", max_iter=120),
        "shallow": HistGradientBoostingRegressor(loss="poisson", max_iter=60, max_leaf_nodes=8),
    },
    split=cd.temporal(test="3 days", folds=2),
    metric="rmse",  # of counts that are mostly 0, the absolute error would favour saying 0
    gates=[cd.beats_baseline(), cd.beats_champion(tolerance=0.02)],
    max_rows=150_000,
    unit="pickups",
    description="How many trips will begin in a zone within the quarter-hour.",
)

product.predict(duration)
product.predict(forecast)
# Neither weekday nor weekend: a window is a day, and each day has but one. A zone's number is no quantity: its borough and its zone are watched by name.
product.monitor(
    duration, by="pickup_borough",
    columns=["pickup_zone_id", "dropoff_zone_id", "pickup_at_hour", "passengers", "pair_duration_min", "pair_miles"],
)  # fmt: skip
product.monitor(
    trips, reference="14 days",
    columns=["duration_min", "miles", "fare_usd", "tip_usd", "passengers", "payment_type", "pickup_borough", "dropoff_borough"],
)  # fmt: skip
# Where a warehouse is set (CAUDAL_WAREHOUSE); nothing happens where none is.
product.publish(trips, to=cd.warehouse(), key="trip_id", indexes=[["pickup_zone_id", "pickup_at"]])
product.publish(pickups_hour, to=cd.warehouse(), key=["pickup_zone_id", "window_start"])
# A dispatcher knows zones, time and passengers: how long such trips have taken is looked up.
ZONE_NAMES = {"table": "zones", "key": "zone_id", "name": "zone", "also": "borough"}
product.serve(duration, lookup=True, names={("pickup_zone_id", "dropoff_zone_id"): ZONE_NAMES}, fields={
    "pickup_at": {"label": "Pickup"},
    "pickup_zone_id": {"label": "From zone"},
    "dropoff_zone_id": {"label": "To zone"},
    "pickup_at_hour": {"label": "Hour of day", "minimum": 0, "maximum": 23, "unit": "h"},
    "pickup_at_weekday": {"label": "Day of week", "minimum": 0, "maximum": 6},
    "passengers": {"label": "Passengers", "minimum": 0, "maximum": 9},
    "pair_duration_min": {"label": "Mean duration of such trips", "unit": "min"},
    "pair_miles": {"label": "Mean distance of such trips", "unit": "mi"},
})  # fmt: skip
product.serve(forecast, lookup=True, names={"pickup_zone_id": ZONE_NAMES}, fields={
    "pickup_zone_id": {"label": "Zone"}, "window_start": {"label": "Quarter-hour", "description": "When it begins, local time."},
})  # fmt: skip
