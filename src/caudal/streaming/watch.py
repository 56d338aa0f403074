"""Apply detectors to a stream: one per device, fed in order of time, saved in the stream's checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from caudal.declarations.detector import Detection
from caudal.stages.detect import operator, restore_operator
from caudal.stages.detect.state import StateProblem
from caudal.stages.statistics import Samples
from caudal.stages.statistics.seen import Seen, seen_of

if TYPE_CHECKING:
    from caudal.stages.detect.operator import Operator

log = logging.getLogger(__name__)
ANOMALY_SCHEMA = pa.schema(
    [("device", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("score", pa.float64()), ("detector", pa.string())]
)


_PANE_US = 1_000_000
_REMEMBERED = 60  # seconds within which a repeated sample is recognized


@dataclass
class DetectionWatch:
    """A detection and its operators, one per device; ``states`` returns those that have learned since its last call."""

    declared: Detection
    channels: int
    _operators: dict[int, Operator] = field(default_factory=dict)
    _learned: set[int] = field(default_factory=set)

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Restore saved operators; one whose detector was declared differently, or saved by another caudal, starts anew and logs
        that."""
        for name, state in states.items():
            detection, _, device = name.rpartition("/")
            if detection == self.declared.name:
                try:
                    self._operators[int(device)] = restore_operator(self.declared.detector, state)
                except StateProblem as problem:
                    log.warning("The detector of '%s' starts anew for device %s. %s", detection, device, problem)

    def score(self, device: Sequence[int], at_us: Sequence[int], values: np.ndarray | Sequence[Sequence[float]]) -> pa.Table:
        """Return the anomalies among readings, in the order given: float32 [n, channels]."""
        anomalies = []
        for device_id, moment, row in zip(device, at_us, values, strict=True):
            if device_id not in self._operators:
                self._operators[device_id] = operator(self.declared.detector, self.channels)
            self._learned.add(device_id)
            if (score := self._operators[device_id].score(int(moment), row)) >= self.declared.threshold:
                anomalies.append((int(device_id), int(moment), score))
        devices, moments, scores = zip(*anomalies, strict=True) if anomalies else ((), (), ())
        at = pa.array(moments, pa.int64()).cast(pa.timestamp("us", "UTC"))
        name = [self.declared.detector.kind] * len(anomalies)
        return pa.table(
            [pa.array(devices, pa.int64()), at, pa.array(scores, pa.float64()), pa.array(name, pa.string())], schema=ANOMALY_SCHEMA
        )

    def states(self) -> dict[str, bytes]:
        """Return the states of the operators that have learned since the last call."""
        states = {f"{self.declared.name}/{device}": self._operators[device].state() for device in sorted(self._learned)}
        self._learned.clear()
        return states


def of_samples(watch: DetectionWatch, sample_blocks: Sequence[Samples], processed: Seen) -> tuple[pa.Table, Seen]:
    """Return the anomalies among samples that were not seen before, in order of time, and the updated record of seen samples."""
    fresh = []
    for samples in sample_blocks:
        group = samples.group(_PANE_US)
        new = processed.new(group, samples.seq, samples.at_us)
        fresh.append(samples.where(new))
        processed = processed.with_(seen_of(group[new], samples.seq[new], samples.at_us[new]))
    if sample_blocks:
        processed = processed.after(
            max(int(samples.at_us.max()) for samples in sample_blocks if len(samples)) // _PANE_US - _REMEMBERED
        )
    if not fresh:
        return watch.score([], [], []), processed
    device, at_us = np.concatenate([samples_.device for samples_ in fresh]), np.concatenate([samples_.at_us for samples_ in fresh])
    values = np.concatenate([samples_.values for samples_ in fresh])
    order = np.lexsort((device, at_us))
    return watch.score(device[order].tolist(), at_us[order].tolist(), values[order]), processed


def of_windows(watch: DetectionWatch, closed: pa.Table) -> pa.Table:
    """Return the anomalies among closed windows; a window is known when it ends."""
    if len(closed) == 0:
        return watch.score([], [], [])
    first_channel = slice(None, None, watch.channels)
    values = closed.column(watch.declared.column).fill_null(float("nan")).to_numpy().reshape(-1, watch.channels).astype(np.float32)
    device = closed.column("device").to_numpy()[first_channel]
    at_us = closed.column("window_end").cast(pa.int64()).to_numpy()[first_channel]
    order = np.lexsort((device, at_us))
    return watch.score(device[order].tolist(), at_us[order].tolist(), values[order])
