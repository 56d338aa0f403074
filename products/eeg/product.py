"""A headset of 16 sensors at 256 Hz: statistics, band power and anomalies as the signal comes."""

from __future__ import annotations

import caudal as cd

SENSORS = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7", "P8")
RATE_HZ = 256.0

product = cd.Product("eeg", owner="lab@example.org", description="An EEG headset of 16 sensors, as it comes.")

samples = product.source(
    "samples",
    cd.stream(channels=SENSORS, partitions=2),
    late="2 seconds",
    partition="day",
    description="Microvolts, 256 samples a second of each sensor.",
)

product.statistics(
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
