"""A weather station that reports once a second: the day's course, fronts, showers, and a sensor that sticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from caudal.messaging.wire.block import Array
from caudal.stages.simulate.chance import Coloured, rare_events
from caudal.stages.simulate.played import Played
from caudal.stages.simulate.registered import simulates
from caudal.stages.simulate.sending import Sending

_DAY_S = 86_400.0
_SHOWER, _STUCK = 1, 2


@simulates("weather")
@dataclass(frozen=True)
class Weather(Played):
    """Temperature, humidity, pressure, wind and rain; now and then the thermometer sticks for a minute at −40 °C."""

    channels: ClassVar[tuple[str, ...]] = ("temperature_c", "humidity_percent", "pressure_hpa", "wind_m_s", "rain_mm_h")
    natural_hz: ClassVar[float] = 1.0

    missing: float = 0.001
    sending: Sending = field(default_factory=lambda: Sending(lost=0.005, twice=0.002, late=0.005, run=10))

    def values(self, positions: Array) -> Array:
        """Return °C, %, hPa, m/s and mm/h, [positions, 5]."""
        at_s, drift = self.seconds(positions), self._drift.at(positions)
        since, strength, _ = rare_events(self.seed, _SHOWER, at_s, 7200.0, 0.4, 900.0)
        rain = np.where(np.abs(since) < 600, (1 + 12 * strength) * np.cos(np.pi * since / 1200) ** 2, 0.0)
        celsius = 12 - 6 * np.cos(2 * np.pi * (at_s / _DAY_S - 0.1)) + 2 * drift[:, 0] - 0.3 * rain
        humid = np.clip(65 - 2.5 * (celsius - 12) + 5 * drift[:, 1] + 3 * rain, 5, 100)
        wind = np.abs(3 + 1.5 * drift[:, 3] + 0.4 * rain)
        celsius = np.where(self.marks(positions)["stuck"], -40.0, celsius)
        return np.column_stack([celsius, humid, 1013 + 6 * drift[:, 2], wind, rain])

    def marks(self, positions: Array) -> Mapping[str, Array]:
        """Return which samples have a thermometer that sticks."""
        since, _, _ = rare_events(self.seed, _STUCK, self.seconds(positions), 3600.0, 0.3, 60.0)
        return {"stuck": np.abs(since) < 30}

    @cached_property
    def _drift(self) -> Coloured:
        return Coloured.of(self.seed, 4, slope=1.6)
