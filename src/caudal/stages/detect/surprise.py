"""Score telemetry with a daily rhythm: out of range, unusual for the time of day, of a new shape, and all three combined.

Three views of each channel (``views``) give figures of different kinds. Each figure is ranked among its earlier values (``past``), so that 1 means a
record whatever the channel's units and distribution are, and the ranks are averaged: Fisher's combination of p-values ("Statistical
Methods for Research Workers", 1932, section 21.1), on the scale that the memory allows. A score is reported only where it is the highest
of the last readings, once per anomaly, as in Burnaev & Ishimtsev (arXiv 1608.04585, section 5), who report nothing for some time after an alarm. A reported score
is compared with the stream's earlier anomalies (``peaks``): each one at least as high lowers it, so that one threshold serves calm and spiky,
short and long streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.declarations.detector import Detector, bounded
from caudal.stages.detect.operator import Operator
from caudal.stages.detect.past import Past
from caudal.stages.detect.peaks import Peaks
from caudal.stages.detect.ring import Ring
from caudal.stages.detect.views import Daily, Range, Shape

_HOUR_S, _HALF = 3600, 0.25  # half hours refine the hours, with a quarter of their weight


class Channel:
    """One channel's three views, and their figures so far."""

    def __init__(self, declared: Detector) -> None:
        memory, daily = declared["memory"], declared["daily"]
        self.excess: float = declared["excess"]
        self.hour, self.half = Daily(_HOUR_S), Daily(_HOUR_S // 2)
        self.range, self.shape = Range(memory), Shape(declared["shape"], declared["neighbours"], memory)
        self.weights = (daily, _HALF * daily, 1.0, 1.0)
        self.greatest_sum: float = sum(self.weights) * (1.0 + 3.0 * self.excess)
        self.pasts = tuple(Past(memory) for _ in self.weights)
        self.count, self.mean, self.squares = 0, 0.0, 0.0  # of all values: Welford 1962

    def score(self, at_us: int, value: float) -> float:
        """Return the weighted mean of the ranks, from 0 to 1; the value is learned."""
        return self.weighted_mean(self.strengths(at_us, value))

    def weighted_mean(self, strengths: tuple[float, ...]) -> float:
        """Return the weighted mean of ranks."""
        total: float = sum(weight * strength for weight, strength in zip(self.weights, strengths, strict=True))
        return total / self.greatest_sum

    def strengths(self, at_us: int, value: float) -> tuple[float, ...]:
        """Return the rank of each view's figure among its past; the value is learned."""
        deviation = (self.squares / (self.count - 1)) ** 0.5 if self.count > 1 else 0.0
        figures = (
            self.hour.figure(at_us, value, deviation),
            self.half.figure(at_us, value, deviation),
            self.range.figure(value),
            self.shape.figure(value),
        )
        self.count += 1
        difference = value - self.mean
        self.mean += difference / self.count
        self.squares += difference * (value - self.mean)
        return tuple(past.strength(figure, self.excess) for past, figure in zip(self.pasts, figures, strict=True))

    def fields(self) -> dict[str, object]:
        """Return the whole memory."""
        return {
            "hour": self.hour.slots,
            "half": self.half.slots,
            "range": self.range.ring.rows,
            "pasts": np.stack([past.ring.rows for past in self.pasts]),
            "moments": np.array([self.mean, self.squares]),
            "counts": np.array(
                [self.count, self.range.ring.seen, self.shape.values.seen, self.shape.seen, self.pasts[0].ring.seen]
            ),
            **self.shape.fields(),
        }

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the memory from the result of ``fields``."""
        self.hour.slots, self.half.slots, self.range.ring.rows = fields["hour"], fields["half"], fields["range"]
        self.shape.values.rows, self.shape.shapes, self.shape.metric = fields["values"], fields["shapes"], fields["metric"]
        self.mean, self.squares = fields["moments"].tolist()
        self.count, self.range.ring.seen, self.shape.values.seen, self.shape.seen, ranked = fields["counts"].tolist()
        for past, rows in zip(self.pasts, fields["pasts"], strict=True):
            past.restore(rows, ranked)


def surprise(
    shape: int = 14,
    neighbours: int = 3,
    memory: int = 4096,
    excess: float = 0.06,
    daily: float = 1.0,
    quiet: int = 120,
    habit: float = 0.3,
) -> Detector:
    """Return a detector for telemetry with a daily rhythm: range, time of day and shape judged together, each against its past.

    Parameters
    ----------
    shape : int, readings that make a shape
    neighbours : int, most similar earlier shapes that a shape is compared with
    memory : int, readings that are remembered
    excess : float, weight of how far a record exceeds the last one
    daily : float, weight of the daily rhythm; the two other views weigh 1 each; 0 for data without a calendar
    quiet : int, readings after a score during which only a higher one is reported: one anomaly, one report
    habit : float, how much each earlier anomaly with a score as high lowers a score: it is divided by ``(1 + earlier) ** habit``;
        0 does not change it; without ``quiet`` it has no effect
    """
    return bounded(
        "surprise",
        {
            "shape": (shape, 2, 256),
            "neighbours": (neighbours, 1, 256),
            "memory": (memory, 64, 65_536),
            "excess": (excess, 0.0, 10.0),
            "daily": (daily, 0.0, 10.0),
            "quiet": (quiet, 0, 65_536),
            "habit": (habit, 0.0, 1.0),
        },
    )


class Surprise(Operator):
    """The largest score of all channels, reported where it is the highest for a while."""

    kind = "surprise"

    def __init__(self, declared: Detector, channels: int) -> None:
        super().__init__(declared, channels)
        self._channels = [Channel(declared) for _ in range(channels)]
        self._recent = Ring(max(declared["quiet"], 1))
        self._peaks = Peaks(declared["quiet"])

    def judge(self, at_us: int, row: np.ndarray) -> float:
        """Return the score, lowered by earlier peaks as high, or 0 while a score as high was reported recently."""
        scores = [
            channel.score(at_us, value) for channel, value in zip(self._channels, row.tolist(), strict=True) if value == value
        ]
        score = max(scores)
        if not self.declared["quiet"]:
            return score
        highest = float(self._recent.filled.max()) if len(self._recent) else 0.0
        self._recent.add(score)
        reported = score if score > highest else 0.0
        earlier = self._peaks.count_earlier(reported)
        return float(reported * (1.0 + earlier) ** -self.declared["habit"])

    def fields(self) -> dict[str, object]:
        """Return the memory of all channels."""
        of_channels = {f"{i}_{name}": value for i, channel in enumerate(self._channels) for name, value in channel.fields().items()}
        return {"recent": self._recent.rows, "recent_seen": self._recent.seen, **self._peaks.fields(), **of_channels}

    def restore(self, fields: Mapping[str, Any]) -> None:
        """Restore the memory of all channels."""
        self._recent.rows, self._recent.seen = fields["recent"], int(fields["recent_seen"])
        self._peaks.restore(fields)
        for i, channel in enumerate(self._channels):
            prefix = f"{i}_"
            channel.restore({name.removeprefix(prefix): value for name, value in fields.items() if name.startswith(prefix)})
