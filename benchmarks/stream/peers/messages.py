"""The messages that every engine reads, and the truth about them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.stream.peers.task import CHANNELS
from caudal.messaging.wire import Block, codec, packed
from caudal.stages.simulate import simulator
from caudal.stages.simulate.sending import Sending

RATE_HZ = 256
DEVICES = 16
_START_S = 1_700_000_000
_MISSING = 0.0005
_CLOSING_S = 10  # a last sample so much later lets every watermark pass all windows
_PACED = 16  # samples of a block that is sent by the clock


@dataclass(frozen=True)
class Backlog:
    """Whole seconds of each device in order: nothing lost, twice or late, since engines differ in what they do with that."""

    seconds: int

    @property
    def readings(self) -> int:
        """Readings before the closing samples."""
        return self.seconds * RATE_HZ * CHANNELS * DEVICES

    def blocks(self) -> Iterator[Block]:
        """Yield device 0's samples, a second at a time; the other devices send the same."""
        played = simulator("eeg", start_us=_START_S * 1_000_000, sending=Sending(), missing=_MISSING)
        for block in played.blocks(0, self.seconds * RATE_HZ):
            for start in range(0, len(block), RATE_HZ):
                yield block.cut(start, start + RATE_HZ)

    def truth(self) -> np.ndarray[Any, Any]:
        """Return count, min, max, mean and variance by second and sensor, float64 [seconds, channels, 5]."""
        values = (
            np.concatenate([block.values for block in self.blocks()]).reshape(self.seconds, RATE_HZ, CHANNELS).astype(np.float64)
        )
        count = np.isfinite(values).sum(1)
        told = (count, np.nanmin(values, 1), np.nanmax(values, 1), np.nanmean(values, 1), np.nanvar(values, 1, ddof=1))
        return np.stack(told, axis=2)

    def send(self, servers: str, topic: str, wire: str, partitions: int) -> None:
        """Make the topic and fill it."""
        make(servers, topic, partitions)
        producer = _producer(servers)
        for block in self.blocks():
            for payloads, at_ms in _messages(block, wire):
                for device in range(DEVICES):
                    for payload in payloads:
                        _put(producer, topic, _of(payload, wire, device), device % partitions, at_ms)
        last = Block(
            0, np.array([self.seconds * RATE_HZ]), np.array([(_START_S + self.seconds + _CLOSING_S) * 1_000_000]), block.values[:1]
        )
        for device in range(partitions):
            for payload in codec(wire).encode(replace(last, device=device)):
                _put(producer, topic, payload, device, int(last.at_us[0]) // 1000)
        _sent(producer)


def wrong(backlog: Backlog, windows: list[list[float]]) -> str | None:
    """Return what is wrong with an engine's windows, None when they are those of the truth."""
    found = np.array(windows, np.float64).reshape(-1, 8)
    found = found[found[:, 2] < _START_S + backlog.seconds]
    wanted = DEVICES * CHANNELS * backlog.seconds
    if len(found) != wanted:
        return f"{len(found):,} windows instead of {wanted:,}"
    found = found[np.lexsort((found[:, 1], found[:, 2], found[:, 0]))].reshape(DEVICES, backlog.seconds, CHANNELS, 8)
    truth = backlog.truth()
    if not np.array_equal(found[..., 3], np.broadcast_to(truth[..., 0], found.shape[:-1])):
        return (
            f"{found[..., 3].sum():,.0f} readings in windows instead of {truth[..., 0].sum() * DEVICES:,.0f}, or in other windows"
        )
    for place, (name, tolerance) in enumerate((("min", 1e-6), ("max", 1e-6), ("mean", 1e-6), ("variance", 1e-3)), 1):
        if not np.allclose(found[..., 3 + place], truth[..., place], rtol=tolerance, atol=0):
            return f"the {name} is another"
    return None


def follow(servers: str, topic: str, wire: str, until: float) -> dict[int, list[float]]:
    """Send one device's samples by the clock until then; return their times by second, seconds since 1970."""
    producer, began = _producer(servers), time.time()
    played = simulator("eeg", start_us=int(began * 1e6), sending=Sending())
    sent: dict[int, list[float]] = {}
    for block in played.blocks(0, int((until - began) * RATE_HZ)):
        for start in range(0, len(block), _PACED):
            some = block.cut(start, start + _PACED)
            time.sleep(max(0.0, some.at_us[-1] / 1e6 - time.time()))
            for payloads, at_ms in _messages(some, wire):
                for payload in payloads:
                    _put(producer, topic, payload, 0, at_ms)
            producer.poll(0)
            for at_us in some.at_us.tolist():
                sent.setdefault(at_us // 1_000_000, []).append(at_us / 1e6)
    _sent(producer)
    return sent


def make(servers: str, topic: str, partitions: int) -> None:
    """Make a topic."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})  # held: an answer dies with its client
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)


def _messages(block: Block, wire: str) -> Iterator[tuple[list[bytes], int]]:
    """Yield messages that are sent together, and their time: that of their first sample."""
    for some in [block] if wire == "packed" else [block.cut(at, at + _PACED) for at in range(0, len(block), _PACED)]:
        yield codec(wire).encode(some), int(some.at_us[0]) // 1000


def _of(payload: bytes, wire: str, device: int) -> bytes:
    """Return device 0's message as another's."""
    return packed.with_device(payload, device) if wire == "packed" else payload.replace(b'"device":0', b'"device":%d' % device, 1)


def _producer(servers: str) -> Producer:
    return Producer({"bootstrap.servers": servers, "linger.ms": 5, "batch.size": 1 << 20, "queue.buffering.max.kbytes": 256 << 10})


def _put(producer: Producer, topic: str, payload: bytes, partition: int, at_ms: int) -> None:
    while True:
        try:
            producer.produce(topic, payload, partition=partition, timestamp=at_ms)
            return
        except BufferError:
            producer.poll(0.05)


def _sent(producer: Producer) -> None:
    if producer.flush(60):
        raise RuntimeError("Kafka did not take all messages within a minute")
