"""Three views of one channel: its daily rhythm, its range, its shape. Each returns a figure that is large where a reading is unusual."""

from __future__ import annotations

import numpy as np

from caudal.stages.detect.ring import Ring

_TINY = 1e-9
_DAY_S = 86_400


class Daily:
    """How far a reading is from the others at its time of day, in deviations.

    Mean and variance of each slot are exponentially weighted (West 1979) with a memory of ``_READINGS``, so that a rhythm may change.

    Parameters
    ----------
    slot_s : int, seconds that share one mean; in UTC, because only the repetition matters
    """

    _READINGS, _FEWEST, _MIXED = 50, 3, 0.1

    def __init__(self, slot_s: int) -> None:
        self.slot_s = slot_s
        self.slots = np.zeros((_DAY_S // slot_s, 3))  # mean, variance, readings

    def figure(self, at_us: int, value: float, deviation: float) -> float:
        """Return the distance; a tenth of ``deviation``, that of the whole channel, stabilises slots that hardly vary."""
        slot = self.slots[(at_us // 1_000_000) % _DAY_S // self.slot_s]
        mean, variance, seen_count = slot.tolist()
        difference = value - mean
        figure = abs(difference) / (variance**0.5 + self._MIXED * deviation + _TINY) if seen_count >= self._FEWEST else 0.0
        weight = max(1.0 / (seen_count + 1.0), 1.0 / self._READINGS)
        slot[:] = mean + weight * difference, (1.0 - weight) * (variance + weight * difference * difference), seen_count + 1.0
        return figure


class Range:
    """How far a reading lies outside the remembered range, as a share of that range."""

    _FEWEST = 5

    def __init__(self, memory: int) -> None:
        self.ring = Ring(memory)

    def figure(self, value: float) -> float:
        """Return the share; 0 inside the range."""
        figure = 0.0
        if self.ring.seen >= self._FEWEST:
            values = self.ring.filled
            low, high = float(values.min()), float(values.max())
            figure = max(value - high, low - value, 0.0) / (high - low + _TINY)
        self.ring.add(value)
        return figure


class Shape:
    """The mean squared distance from the last readings, as one point, to the most similar earlier ones.

    Burnaev & Ishimtsev, "Conformalized density- and distance-based anomaly detection in time-series data", arXiv 1608.04585, section 4:
    nearest neighbours of delay vectors under the Mahalanobis metric, which is learned anew every ``_RENEWED`` readings.

    Parameters
    ----------
    length : int, readings of a shape
    neighbours : int
    memory : int, shapes kept
    """

    _RENEWED, _FIRST = 150, 60

    def __init__(self, length: int, neighbours: int, memory: int) -> None:
        self.length, self.neighbours = length, neighbours
        self.values = Ring(memory + length)
        self.shapes = np.zeros((memory, length), dtype=np.float32)
        self.metric = np.zeros((length, length))
        self.seen = 0  # whole shapes

    def figure(self, value: float) -> float:
        """Return the distance; 0 until there are enough shapes to compare with."""
        self.values.add(value)
        if self.values.seen < self.length:
            return 0.0
        if self.seen >= self._FIRST and self.seen % self._RENEWED == self._FIRST:
            self._renew()
        latest = self.values.rows[(self.values.seen - self.length + np.arange(self.length)) % len(self.values.rows)]
        shape = self._by_metric(latest)
        count, memory = min(self.seen, len(self.shapes)), len(self.shapes)
        figure = 0.0
        if self.seen >= self._FIRST:
            difference = self.shapes[:count] - shape
            squared = np.einsum("ij,ij->i", difference, difference)
            # Shapes that share half of their readings with this one do not count as neighbours.
            squared[(self.seen - 1 - np.arange(min(self.length // 2, count))) % memory] = np.inf
            figure = float(np.partition(squared, self.neighbours - 1)[: self.neighbours].mean(dtype=np.float64))
        self.shapes[self.seen % memory] = shape
        self.seen += 1
        return figure if np.isfinite(figure) else 0.0

    def _by_metric(self, shapes: np.ndarray) -> np.ndarray:
        """Return shapes transformed to the space where Euclidean distance is Mahalanobis distance, float32, clipped so that float32 can square them."""
        return np.clip(shapes @ self.metric, -1e15, 1e15).astype(np.float32)

    def _renew(self) -> None:
        """Learn the metric from the remembered shapes, and transform them by it."""
        count = min(self.seen, len(self.shapes))
        # The newest reading belongs to the shape that is being scored.
        past_shapes = np.lib.stride_tricks.sliding_window_view(self.values.ordered()[:-1], self.length)[-count:]
        size, axes = np.linalg.eigh(past_shapes.T @ past_shapes / count)
        self.metric = axes / np.sqrt(np.maximum(size, size[-1] * 1e-9 + 1e-12))
        self.shapes[(self.seen - count + np.arange(count)) % len(self.shapes)] = self._by_metric(past_shapes)

    def fields(self) -> dict[str, object]:
        """Return the readings, the shapes and their metric."""
        return {"values": self.values.rows, "shapes": self.shapes, "metric": self.metric}
