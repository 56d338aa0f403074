"""Bytewax: a source of batches, NumPy sums of each, and its own event-time windows over the sums; a process for each partition and core."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main
from confluent_kafka import Consumer, TopicPartition

from benchmarks.stream.peers import blocks
from benchmarks.stream.peers.task import CHANNELS, LATE_S, WINDOW_S, Task, asked

_MOST = 5_000  # messages of a batch
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA = pa.schema([("device", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("values", pa.list_(pa.float32()))])


class Topic(FixedPartitionedSource[list[bytes], None]):
    """A topic's partitions, to their ends of now or until a moment."""

    def __init__(self, task: Task) -> None:
        self.task, self.first_s = task, 0.0

    def list_parts(self) -> list[str]:
        return [str(one) for one in range(self.task.partitions)]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Partition:  # noqa: ARG002
        return Partition(self, int(for_part))


class Partition(StatefulSourcePartition[list[bytes], None]):
    """One partition; an item is a batch of messages."""

    def __init__(self, topic: Topic, number: int) -> None:
        self._topic, self._until, task = topic, topic.task.until, topic.task
        told = {"bootstrap.servers": task.servers, "group.id": "peer", "enable.auto.commit": False, "fetch.wait.max.ms": 5}
        self._consumer = Consumer(told | {"queued.min.messages": 100_000, "fetch.message.max.bytes": 8 << 20})
        here = TopicPartition(task.topic, number, 0)
        self._left = self._consumer.get_watermark_offsets(here)[1] if task.until is None else None
        self._consumer.assign([here])

    def next_batch(self) -> list[list[bytes]]:
        if self._left == 0 or (self._until is not None and time.time() > self._until):
            raise StopIteration
        messages = self._consumer.consume(_MOST, timeout=0.02)
        if not messages:
            return []
        self._topic.first_s = self._topic.first_s or time.time()
        if self._left is not None:
            self._left -= len(messages)
        return [[message.value() for message in messages]]

    def snapshot(self) -> None:
        return None

    def close(self) -> None:
        self._consumer.close()


class Kept(DynamicSink[Any]):
    """Keeps results with the moment when they came."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, float]] = []

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[Any]:  # noqa: ARG002
        rows = self.rows

        class Here(StatelessSinkPartition[Any]):
            def write_batch(self, items: list[Any]) -> None:
                now = time.time()
                rows.extend((item, now) for item in items)

        return Here()


def read_json(payloads: list[bytes]) -> blocks.Samples:
    """Return the samples of JSON messages."""
    found = pyarrow.json.read_json(
        pa.BufferReader(b"\n".join(payloads)),
        read_options=pyarrow.json.ReadOptions(block_size=256 << 10),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore"),
    ).combine_chunks()
    values = pc.list_flatten(found["values"]).to_numpy()
    return blocks.Samples(found["device"].to_numpy(), found["at"].cast(pa.int64()).to_numpy(), values.reshape(-1, CHANNELS))


def sums(wire: str) -> Callable[[list[bytes]], list[tuple[str, Any]]]:
    """Return the step from a batch to its windows' sums by device: second, time of the newest reading, sums."""
    read = blocks.unpacked if wire == "packed" else read_json

    def step(payloads: list[bytes]) -> list[tuple[str, Any]]:
        found = blocks.summed(read(payloads))
        return [
            (str(device), (second, newest, some))
            for device, second, newest, some in zip(
                found.device.tolist(), found.second.tolist(), found.newest_us.tolist(), found.sums, strict=True
            )
        ]

    return step


def running(state: dict[int, float] | None, item: Any) -> tuple[dict[int, float] | None, Any]:
    """Return the counts of a device's open windows, and what the item's window holds now."""
    second, newest_us, some = item
    state = {one: count for one, count in (state or {}).items() if one >= newest_us // 1_000_000 - LATE_S - WINDOW_S}
    state[second] = state.get(second, 0.0) + float(some[0, 0])
    return state, (second, state[second])


def flow(task: Task, topic: Topic, kept: Kept) -> Dataflow:
    """Return the dataflow: windows as they close, or counts as they change."""
    made = Dataflow("peer")
    partial = op.flat_map("sums", op.input("topic", made, topic), sums(task.wire))
    if task.until is not None:
        op.output("out", op.stateful_map("running", partial, running), kept)
        return made
    clock = EventClock(lambda item: _EPOCH + timedelta(microseconds=item[1]), timedelta(seconds=LATE_S))
    tumbling = TumblingWindower(length=timedelta(seconds=WINDOW_S), align_to=_EPOCH)
    empty = np.array([[0.0], [0.0], [0.0], [np.nan], [np.nan]]) * np.ones(CHANNELS)
    folded = fold_window(
        "windows", partial, clock, tumbling, empty.copy, lambda have, item: blocks.merged(have, item[2]), blocks.merged
    )
    op.output("out", folded.down, kept)
    return made


def main() -> None:
    """Run this process's share, and in the first process gather what the others have found."""
    task = asked()
    place = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    addresses = json.loads(sys.argv[3]) if len(sys.argv) > 3 else _addresses(min(task.partitions, task.cores))
    others = [
        subprocess.Popen([sys.executable, "-m", __spec__.name, sys.argv[1], str(one), json.dumps(addresses)])
        for one in range(1, len(addresses) if place == 0 else 0)
    ]
    topic, kept = Topic(task), Kept()
    cluster_main(flow(task, topic, kept), addresses if len(addresses) > 1 else [], place)
    if task.until is not None:
        return task.updates([[int(device), second, count, now] for (device, (second, count)), now in kept.rows])
    rows = [row for (device, (second, some)), _ in kept.rows for row in blocks.statistics(int(device), second, some)]
    own = replace(task, out=f"{task.out}.{place}")
    own.windows(topic.first_s, max((now for _, now in kept.rows), default=0.0), rows)
    if place:
        return None
    if any(one.wait() for one in others):
        sys.exit("a process of the cluster failed")
    parts = [json.loads(Path(f"{task.out}.{one}").read_text()) for one in range(len(addresses))]
    task.windows(
        min(one["first_s"] for one in parts if one["first_s"]),
        max(one["last_s"] for one in parts),
        [row for one in parts for row in one["windows"]],
    )
    return None


def _addresses(processes: int) -> list[str]:
    import socket

    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(processes)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in held]
    for one in held:
        one.close()
    return addresses


if __name__ == "__main__":
    main()
