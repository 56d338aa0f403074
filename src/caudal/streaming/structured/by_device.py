"""The tasks that read messages: they capture the samples and send them to their devices."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from caudal.stages.statistics import Samples
from caudal.streaming.task import TaskInput, TaskResult, process_messages

SAMPLES, REPORT, MARK = "samples", "report", "mark"
NO_DEVICE = -1
"""The key of rows that belong to no device: the reports of tasks, and the marks of event time."""
SCHEMA = pa.schema(
    [
        ("device", pa.int64()),
        ("kind", pa.string()),
        ("source_partition", pa.int32()),
        ("source_offset", pa.int64()),
        ("at", pa.timestamp("us", "UTC")),
        ("body", pa.binary()),
    ]
)
Row = tuple[int, str, int, int, int | None, bytes]
SPARK_SCHEMA = "device long, kind string, source_partition int, source_offset long, at timestamp, body binary"


@dataclass(frozen=True)
class SamplesByDevice:
    """Turns messages into rows: the samples of each device, one report, and one mark of event time.

    Only marks have an event time. Spark leaves out rows whose event time is older than the watermark, whole; of a device's samples, some may be
    late and others not, and all have to be counted, so the device's state judges each by itself.
    """

    work: TaskInput

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a task."""
        result = process_messages(iter(batches), replace(self.work, keep=True))
        for samples, (partition, offset) in zip(result.sample_blocks, result.places, strict=True):
            yield _rows([(device, SAMPLES, partition, offset, None, packed(part)) for device, part in split_by_device(samples)])
        result.sample_blocks, result.places = [], []
        if not result.messages:
            return
        rows: list[Row] = [(NO_DEVICE, REPORT, 0, 0, None, pickle.dumps(result, protocol=5))]
        if result.newest:
            rows.append((NO_DEVICE, MARK, 0, 0, max(result.newest.values()), b""))
        yield _rows(rows)


def split_by_device(samples: Samples) -> Iterator[tuple[int, Samples]]:
    """Yield the samples of each device, in their order."""
    device = samples.device
    if len(device) == 0:
        return
    if (device == device[0]).all():
        yield int(device[0]), samples
        return
    order = np.argsort(device, kind="stable")
    ordered = samples.where(order)
    starts = np.flatnonzero(np.concatenate(([True], ordered.device[1:] != ordered.device[:-1]))).tolist()
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        span = slice(start, stop)
        yield (
            int(ordered.device[start]),
            Samples(ordered.device[span], ordered.seq[span], ordered.at_us[span], ordered.values[span]),
        )


def packed(samples: Samples) -> bytes:
    """Return the samples of one device as bytes."""
    return pickle.dumps((samples.seq, samples.at_us, np.ascontiguousarray(samples.values)), protocol=5)


def unpacked(device: int, body: bytes) -> Samples:
    """Return the samples that `packed` gave: only our own tasks write them."""
    seq, at_us, values = pickle.loads(body)  # noqa: S301
    return Samples(np.full(len(seq), device, np.int64), seq, at_us, values)


def report(body: bytes) -> TaskResult:
    """Return the report of a task."""
    result: TaskResult = pickle.loads(body)  # noqa: S301 (written by the task)
    return result


def _rows(rows: list[Row]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(values, pa.int64()).cast(field.type) if pa.types.is_timestamp(field.type) else pa.array(values, field.type)
        for values, field in zip(columns, SCHEMA, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
