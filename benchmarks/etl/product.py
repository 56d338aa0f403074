"""The part of the taxi product that the benchmark runs: source, cleaned trips with eight rules, hours."""

from __future__ import annotations

from pathlib import Path

import caudal as cd
from caudal.graph.load import load

taxi = load(Path(__file__).parents[2] / "products" / "taxi")
product = cd.Product("etl", tz=taxi.tz)
for name in ("trips_raw", "zones", "trips", "pickups_hour"):
    product.nodes[name] = taxi.nodes[name]
del taxi
