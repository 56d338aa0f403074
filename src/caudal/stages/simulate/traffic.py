"""Traffic of a web server, once a second: the day's course, bursts, and outages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from caudal.messaging.wire.block import Array
from caudal.stages.simulate.chance import Coloured, rare_events, uniform
from caudal.stages.simulate.played import Played
from caudal.stages.simulate.registered import simulates
from caudal.stages.simulate.sending import Sending

_BURST, _OUTAGE, _COUNT = 1, 2, 3


@simulates("traffic")
@dataclass(frozen=True)
class Traffic(Played):
    """Requests, errors, latency and load of one server; label 1: an outage."""

    channels: ClassVar[tuple[str, ...]] = ("requests", "errors", "latency_p50_ms", "latency_p99_ms", "cpu_percent")
    label_channels: ClassVar[tuple[str, ...]] = ("outage",)
    natural_hz: ClassVar[float] = 1.0

    sending: Sending = field(default_factory=lambda: Sending(lost=0.003, twice=0.003, late=0.003, run=5))

    def values(self, positions: Array) -> Array:
        """Return requests a second, errors a second, milliseconds, milliseconds and %, [positions, 5]."""
        at_s, drift = self.seconds(positions), self._drift.at(positions)
        since, strength, _ = rare_events(self.seed, _BURST, at_s, 1800.0, 0.5, 240.0)
        burst = np.where(np.abs(since) < 120, 1 + 3 * strength * np.cos(np.pi * since / 240), 1.0)
        demand = (300 - 220 * np.cos(2 * np.pi * (at_s / 86_400 - 0.15))) * np.exp(0.15 * drift[:, 0]) * burst
        load = np.clip(demand / 900, 0.02, 0.97)
        outage = self.marks(positions)["outage"]
        error_share = np.where(outage, 0.6, 0.002 + 0.05 * load**6)
        requests = np.floor(demand + uniform(self.seed, _COUNT, positions)[:, 0])
        median = 12 / (1 - load) * np.exp(0.05 * drift[:, 1]) * np.where(outage, 8.0, 1.0)
        tail = median * (4 + 2 * np.exp(0.2 * drift[:, 2]))
        return np.column_stack([requests, np.floor(requests * error_share), median, tail, 100 * load])

    def label(self, positions: Array) -> Array:
        """Return 1 during an outage, [positions, 1]."""
        return self.marks(positions)["outage"].astype(np.float64)[:, None]

    def marks(self, positions: Array) -> Mapping[str, Array]:
        """Return which samples lie in an outage."""
        since, _, _ = rare_events(self.seed, _OUTAGE, self.seconds(positions), 3600.0, 0.25, 60.0)
        return {"outage": np.abs(since) < 45}

    @cached_property
    def _drift(self) -> Coloured:
        return Coloured.of(self.seed, 3, slope=1.0)
