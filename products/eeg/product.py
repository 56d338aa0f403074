"""A headset of 16 sensors at 256 Hz: statistics, band power and anomalies as the signal comes."""

from __future__ import annotations

from pyspark.sql import DataFrame, functions as F
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import caudal as cd

SENSORS = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "CZ", "PZ")
RATE_HZ = 256.0

product = cd.Product("eeg", owner="lab@example.org", description="An EEG headset of 16 sensors, as it comes.")

samples = product.source(
    "samples",
    cd.stream(channels=SENSORS, partitions=2),
    late="2 seconds",
    partition="day",
    description="Microvolts, 256 samples a second of each sensor.",
)

labels = product.source(
    "labels",
    cd.stream(channels=("eyes_closed",), partitions=1),
    late="2 minutes",
    partition="day",
    description="Whether the eyes were closed, as somebody noted it: 1 or 0 for each sample, some seconds later.",
)

seconds = product.statistics(
    "sensor_seconds",
    of=samples,
    window="1 second",
    ranges=(4100, 4150, 4175, 4200, 4225, 4250, 4300),
    quantiles=(0.05, 0.5, 0.95),
    centre=4200.0,
    bands=cd.EEG_BANDS,
    rate_hz=RATE_HZ,
    partition="day",
    description="Each second of each sensor: bounds, mean, spread, quantiles, ranges and power by band.",
)

product.detect("artefacts", seconds, cd.robust_z(window=120), threshold=0.8)


@product.features(entity="device", as_of="window_end", labels=["eyes"], partition="day", lookback="1 second")
def brain_seconds(sensor_seconds: DataFrame, labels: DataFrame) -> DataFrame:
    """What is known of a headset when a second has ended: power by band at each sensor, in decibels; and whether the eyes were closed."""
    decibels = [
        F.first(F.when(F.col("sensor") == sensor, 10 * F.log10(F.greatest(f"{band}_power", F.lit(1e-6)))), ignorenulls=True).alias(
            f"{sensor}_{band}"
        )
        for sensor in SENSORS
        for band in ("theta", "alpha", "beta")
    ]
    powers = sensor_seconds.groupBy("device", "window_end").agg(*decibels)
    second = (F.date_trunc("second", "at") + F.expr("INTERVAL 1 SECOND")).alias("window_end")
    noted = labels.dropDuplicates(["device", "seq", "at"]).groupBy("device", second).agg(F.avg("eyes_closed").alias("closed"))
    eyes = noted.select("device", "window_end", F.when(F.col("closed") >= 0.5, "closed").otherwise("open").alias("eyes"))
    return powers.join(eyes, ["device", "window_end"], "left")


product.about(
    "brain_seconds",
    **{
        f"{sensor}_{band}": f"Power in the {band} band at the sensor {sensor} [dB]"
        for sensor in SENSORS
        for band in ("theta", "alpha", "beta")
    },
)

eyes = product.model(
    "eyes",
    features=brain_seconds,
    label="eyes",
    task="classification",
    candidates={
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)),
        "forest": RandomForestClassifier(n_estimators=80, min_samples_leaf=3, n_jobs=2),
        "boosting": HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1),
    },
    split=cd.temporal(test="40 seconds", folds=3),
    gates=[cd.beats_baseline()],
    description="Are the eyes open or closed, told by the second that has just ended.",
)
product.predict(eyes, learn_after=60_000)  # a little under four minutes of one headset
# Whoever wears it opens and closes the eyes every few seconds: a minute has both. One sensor of each region of the head tells as much as all sixteen.
product.monitor(
    eyes, window="1 minute",
    columns=[f"{sensor}_{band}" for sensor in ("AF3", "T7", "O1", "PZ") for band in ("theta", "alpha", "beta")],
)  # fmt: skip
product.monitor(
    seconds, window="1 minute", reference="30 minutes",
    columns=["missing", "std", "q50", "theta_power", "alpha_power", "beta_power"],
)  # fmt: skip
product.serve(eyes)
