"""A device's share of a micro-batch: its samples on top of its state, the windows that close, and the anomalies among them."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import Row
from pyspark.sql.streaming.stateful_processor import ExpiredTimerInfo, StatefulProcessor, StatefulProcessorHandle, TimerValues

from caudal.declarations.detector import Detection
from caudal.declarations.statistics import Statistics
from caudal.stages.statistics import Bounds, Partials, Samples, State, advance, new_state, take_samples, window_rows
from caudal.stages.statistics.samples import join_samples
from caudal.stages.statistics.seen import Seen
from caudal.streaming.structured.by_device import NO_DEVICE, REPORT, SAMPLES, unpacked
from caudal.streaming.totals import TableTotals, added
from caudal.streaming.watch import DetectionWatch, of_samples, of_windows

STATE_SCHEMA, SCHEMA = "memory binary", "kind string, body binary"
DEVICE = "device"
SHOWN = 32
"""Devices of a task whose open windows are shown."""


@dataclass
class DeviceState:
    """What is remembered of one device: open windows of each table, detectors, and the samples that these have processed.

    ``timer_ms`` is the watermark for which Spark has been asked to call, milliseconds.
    """

    tables: dict[str, State] = field(default_factory=dict)
    operators: dict[str, bytes] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    timer_ms: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether a device that sends again may begin anew."""
        return not self.operators and not any(len(state.open) or len(state.seen.low) for state in self.tables.values())


@dataclass
class DeviceResult:
    """What a micro-batch gives for one device; ``added`` is what it adds to the counts of each table."""

    closed: dict[str, Partials] = field(default_factory=dict)
    open: dict[str, Partials] = field(default_factory=dict)
    anomalies: dict[str, pa.Table] = field(default_factory=dict)
    added: dict[str, TableTotals] = field(default_factory=dict)


class DeviceProcessor(StatefulProcessor):
    """The processor of rows with the same device.

    Parameters
    ----------
    source : name of the stream's source
    detections : the detections of the source's samples or of its tables
    channels : int, values of a sample
    """

    def __init__(self, source: str, tables: Mapping[str, Statistics], detections: Iterable[Detection], channels: int) -> None:
        self.source, self.tables, self.detections, self.channels = source, dict(tables), tuple(detections), channels
        self._shown = 0

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Take the state that Spark keeps."""
        self._handle = handle
        self._memory = handle.getValueState("memory", STATE_SCHEMA)

    def handleInputRows(self, key: Any, rows: Iterator[Any], timerValues: TimerValues) -> Iterator[Row]:  # noqa: N802, N803 (Spark's)
        """Yield what the sink needs of a device's samples, or the reports of tasks as they are."""
        if key[0] == NO_DEVICE:
            yield from (Row(kind=row.kind, body=row.body) for row in rows if row.kind == REPORT)
            return
        yield self._step(_samples(key[0], rows), timerValues.getCurrentWatermarkInMs())

    def handleExpiredTimer(self, key: Any, timerValues: TimerValues, expiredTimerInfo: ExpiredTimerInfo) -> Iterator[Row]:  # noqa: ARG002, N802, N803
        """Yield the windows of a device that event time has closed while it sent nothing."""
        yield self._step([], timerValues.getCurrentWatermarkInMs())

    def close(self) -> None:
        """Do nothing: Spark closes the state."""

    def _step(self, samples: list[Samples], watermark_ms: int) -> Row:
        """Return what samples give, and keep the device's memory."""
        stored = self._memory.get()
        memory: DeviceState = DeviceState() if stored is None else pickle.loads(stored[0])  # noqa: S301 (our own state)
        result = self.advance(memory, samples, max(watermark_ms, 0) * 1000)
        if memory.is_empty:
            self._memory.clear()
        else:
            closes_us = self.closes_us(memory)
            timer_ms = None if closes_us is None else closes_us // 1000 - 1  # Spark calls when the watermark is beyond it
            if timer_ms is not None and timer_ms != memory.timer_ms:
                self._handle.registerTimer(timer_ms)
            memory.timer_ms = timer_ms
            self._memory.update((pickle.dumps(memory, protocol=5),))
        return Row(kind=DEVICE, body=pickle.dumps(result, protocol=5))

    def advance(self, memory: DeviceState, samples: list[Samples], watermark_us: int) -> DeviceResult:
        """Return what samples give once event time has reached the watermark; the memory is changed.

        Windows that end before the device's own newest sample, less how late samples may be, are closed at once: the next watermark will be as far
        at least, and the state has few windows however large the micro-batch.

        Parameters
        ----------
        samples : in order of arrival
        watermark_us : the greatest event time of earlier micro-batches, less how late samples may be
        """
        result = DeviceResult()
        arrived = join_samples(samples) if samples else None
        is_shown = arrived is not None and self._shown < SHOWN
        self._shown += is_shown
        for name, declared in self.tables.items():
            before = memory.tables.get(name) or new_state(declared)
            closed = watermark_us // declared.pane_us - 1
            reached_us = watermark_us + round(declared.late_s * 1e6)
            taken = []
            if arrived is not None:
                taken = [take_samples(arrived, declared, Bounds(before.seen, closed))]
            after, done, changed = advance(replace(before, newest_us=reached_us), taken, declared)
            memory.tables[name] = after
            newest_us = max((int(block.at_us.max()) for block in samples), default=reached_us)
            result.added[name] = replace(added(before, after), newest_us=newest_us)
            if len(done):
                result.closed[name] = done
            if is_shown and len(changed):
                result.open[name] = changed
        self._detect(memory, samples, result)
        return result

    def _detect(self, memory: DeviceState, samples: list[Samples], result: DeviceResult) -> None:
        """Let the detectors judge and learn the samples and the windows that have closed."""
        for detection in self.detections:
            is_of_samples = detection.of == self.source
            if not samples if is_of_samples else detection.of not in result.closed:
                continue
            watch = DetectionWatch(detection, self.channels)
            watch.restore(memory.operators)
            if is_of_samples:
                anomalies, memory.seen = of_samples(watch, samples, memory.seen)
            else:
                anomalies = of_windows(watch, window_rows(result.closed[detection.of], self.tables[detection.of]))
            memory.operators |= watch.states()
            if len(anomalies):
                result.anomalies[detection.name] = anomalies

    def closes_us(self, memory: DeviceState) -> int | None:
        """Return the watermark at which the device's next window closes, microseconds; None if no window is open."""
        moments = []
        for name, declared in self.tables.items():
            state = memory.tables[name]
            if not len(state.open):
                continue
            if declared.gap_us:
                last_pane = (int(state.open.newest.min()) + declared.gap_us) // declared.pane_us
            else:
                last_pane = max(int(state.open.pane.min()), state.closed + 1)
            moments.append((last_pane + 1) * declared.pane_us)
        return min(moments, default=None)


def _samples(device: int, rows: Iterable[Row]) -> list[Samples]:
    """Return a device's samples in order of arrival, by partition and offset."""
    ordered = sorted((row for row in rows if row.kind == SAMPLES), key=lambda row: (row.source_partition, row.source_offset))
    return [unpacked(device, row.body) for row in ordered]
