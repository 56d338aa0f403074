"""Statistics of a stream's channels for each window, as a table that caudal computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from caudal.declarations.connection import CHANNELLED
from caudal.declarations.location import Location
from caudal.declarations.node import Source, Table
from caudal.errors import DeclarationProblem

EEG_BANDS: Mapping[str, tuple[float, float]] = {
    "delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0), "gamma": (30.0, 45.0),
}  # fmt: skip
"""Frequencies in hertz, lower bound included, upper bound not."""


@dataclass(frozen=True)
class Statistics(Table):
    """One row per device, sensor and window.

    Parameters
    ----------
    channels : the stream's sensors, in its order
    width_s, every_s : float, windows of ``width_s`` end every ``every_s``; equal values give tumbling windows
    gap_s : float, where not 0, windows are sessions instead: a session ends when its device has sent nothing for ``gap_s``
    ranges : ascending edges; readings are counted below the first, between each two, and from the last on
    quantiles : the quantiles to compute, e.g. ``(0.05, 0.5, 0.95)``, to within 1/128 of the distance from ``centre`` and ``resolution``
    centre, resolution : float, the value near which quantiles are most exact, e.g. a sensor's offset, and their smallest error there
    bands : name → (low, high) in hertz: power in the band, for windows that have every sample of their sampling rate
    rate_hz : float, samples a second, needed for bands
    late_s : float, how long a window waits for late samples
    """

    kind: ClassVar[str] = "statistics"
    channels: tuple[str, ...] = ()
    width_s: float = 1.0
    every_s: float = 1.0
    gap_s: float = 0.0
    ranges: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()
    centre: float = 0.0
    resolution: float = 1e-3
    bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rate_hz: float = 0.0
    late_s: float = 0.0

    @property
    def width_us(self) -> int:
        """Width of a window in microseconds."""
        return round(self.width_s * 1e6)

    @property
    def pane_us(self) -> int:
        """Width of a pane in microseconds: windows consist of panes, which do not overlap."""
        return self.gap_us or round(self.every_s * 1e6)

    @property
    def gap_us(self) -> int:
        """Silence of a device that ends a session, in microseconds; 0 where windows are no sessions."""
        return round(self.gap_s * 1e6)

    @property
    def panes(self) -> int:
        """Number of panes of a window."""
        return 1 if self.gap_us else self.width_us // self.pane_us


def statistics_of(name: str, of: Source, where: Location, **options: Any) -> Statistics:
    """Return the checked declaration of statistics.

    Raises
    ------
    DeclarationProblem : the source has no channels, or the windows, ranges, quantiles or bands are invalid
    """
    if not isinstance(of.connection, CHANNELLED):
        raise DeclarationProblem(
            f"Statistics '{name}' read '{of.name}', which is no stream of samples.",
            fix="Declare the source with cd.stream(...), cd.kafka(...), cd.folder(...) or cd.socket(...).",
            where=str(where),
        )
    declared = Statistics(
        name=name, inputs=(of.name,), event_time="window_start", channels=of.connection.channels, late_s=of.late_s, where=where, **options
    )  # fmt: skip
    for is_wrong, why in _problems(declared):
        if is_wrong:
            raise DeclarationProblem(f"Statistics '{name}': {why}", where=str(where))
    return declared


def _problems(declared: Statistics) -> Sequence[tuple[bool, str]]:
    bands = list(declared.bands.values())
    return (
        (declared.gap_s != 0 and declared.gap_s < 0.02, "a session's gap cannot be shorter than 20 milliseconds."),
        (declared.gap_s > 0 and bool(bands), "bands need windows of one width, which sessions have not."),
        (
            declared.gap_us == 0 and (declared.pane_us <= 0 or declared.width_us % max(declared.pane_us, 1) != 0),
            "the window's width has to be a multiple of 'every'.",
        ),
        (declared.every_s < 0.01, "windows cannot follow one another faster than every 10 milliseconds."),
        (declared.resolution <= 0, "the resolution has to be greater than 0."),
        (list(declared.ranges) != sorted(set(declared.ranges)), "ranges have to be ascending edges, none twice."),
        (len(declared.ranges) > 250, "more than 250 edges are not ranges but a histogram; ask for quantiles."),
        (any(not 0 < q < 1 for q in declared.quantiles), "quantiles lie between 0 and 1."),
        (bool(bands) and declared.rate_hz <= 0, "bands need rate_hz, the samples a second."),
        (
            any(not 0 < low < high <= declared.rate_hz / 2 for low, high in bands),
            "bands lie between 0 and half of rate_hz, low before high.",
        ),
        (declared.late_s < 0, "late cannot be negative."),
    )
