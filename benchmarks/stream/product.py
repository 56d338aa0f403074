"""What the benchmark streams: 16 channels with every statistic that needs no sampling rate, from the log or from Kafka (STREAM_FROM).

STREAM_STATISTICS=few leaves out ranges and quantiles. STREAM_LATE says how long windows wait: the longer, the more the stream has to remember.
"""

from __future__ import annotations

import os

import caudal as cd

CHANNELS = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "CZ", "PZ")
WIRE = os.environ.get("STREAM_WIRE", "packed")
TOPIC = os.environ.get("STREAM_TOPIC", "readings")

product = cd.Product("readings")
source = product.source(
    "samples",
    cd.kafka(TOPIC, channels=CHANNELS, wire=WIRE)
    if os.environ.get("STREAM_FROM") == "kafka"
    else cd.stream(channels=CHANNELS, wire=WIRE),
    late=os.environ.get("STREAM_LATE", "2 seconds"),
    partition="day",
)
FEW = os.environ.get("STREAM_STATISTICS") == "few"
product.statistics(
    "seconds",
    of=source,
    window="1 second",
    ranges=() if FEW else (4100, 4150, 4175, 4200, 4225, 4250, 4300),
    quantiles=() if FEW else (0.05, 0.5, 0.95),
    centre=4200.0,
    partition="day",
)
