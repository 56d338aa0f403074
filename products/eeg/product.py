"""A headset of 16 sensors at 256 Hz: statistics, band power and anomalies as the signal comes."""

from __future__ import annotations

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
