"""Avro, one block or one sample per message, in Avro's single-object encoding: a marker, the schema's fingerprint, the record.

`encode` writes blocks; `encode_samples` one sample per message, for consumers that want rows. A reader distinguishes them by the
fingerprint. Both are ordinary Avro by the schemas below. Floats in an Avro array have the same bytes as in memory, so they are not
decoded one by one.
(Avro 1.12 specification, "Single object encoding", "Binary encoding".)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from caudal.messaging.wire.block import Array, Block
from caudal.messaging.wire.clock import sample_numbers, sample_times, start_and_step
from caudal.messaging.wire.varint import long, longs, zigzag

WIRE, ORDER = "avro", 12
GATHERED = True  # messages of one sample are joined into blocks
Bytes = bytes | memoryview
SAMPLE: dict[str, object] = {
    "type": "record",
    "name": "caudal.Sample",
    "fields": [
        {"name": "device", "type": "long"},
        {"name": "seq", "type": "long"},
        {"name": "at_us", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "values", "type": {"type": "array", "items": "float"}},
    ],
}
BLOCK: dict[str, object] = {
    "type": "record",
    "name": "caudal.Block",
    "doc": "Where seq is empty the samples are numbered from seq0 on; where at_us is empty they come every step_ns from t0_ns on.",
    "fields": [
        {"name": "device", "type": "long"},
        {"name": "channels", "type": "long"},
        {"name": "samples", "type": "long"},
        {"name": "seq0", "type": "long"},
        {"name": "t0_ns", "type": "long"},
        {"name": "step_ns", "type": "long"},
        {"name": "seq", "type": {"type": "array", "items": "long"}},
        {"name": "at_us", "type": {"type": "array", "items": "long"}},
        {"name": "values", "type": {"type": "array", "items": "float"}},
    ],
}


def fingerprint(schema: dict[str, Any]) -> bytes:
    """Return the CRC-64-AVRO of a record schema's canonical form (Avro 1.12 specification, "Schema fingerprints"), 8 bytes."""

    def plain(type: Any) -> object:
        if isinstance(type, str):
            return type
        return {"type": "array", "items": plain(type["items"])} if type["type"] == "array" else plain(type["type"])

    fields = [{"name": field["name"], "type": plain(field["type"])} for field in schema["fields"]]
    canonical = json.dumps({"name": schema["name"], "type": "record", "fields": fields}, separators=(",", ":"))
    value = empty = 0xC15D213AA4D7A795
    for byte in canonical.encode():
        rest = (value ^ byte) & 0xFF
        for _ in range(8):
            rest = (rest >> 1) ^ (empty & -(rest & 1))
        value = (value >> 8) ^ rest
    return value.to_bytes(8, "little")


SAMPLE_HEAD = b"\xc3\x01" + fingerprint(SAMPLE)
BLOCK_HEAD = b"\xc3\x01" + fingerprint(BLOCK)
_HEAD = len(BLOCK_HEAD)


def encode(block: Block) -> list[bytes]:
    """Return the block as one message."""
    n, channels = block.values.shape
    seq0 = int(block.seq[0]) if n else 0
    in_order = n < 2 or (int(block.seq[-1]) - seq0 == n - 1 and bool((np.diff(block.seq) == 1).all()))
    regular = start_and_step(block.at_us)
    t0_ns, step_ns = regular or (0, 0)
    head = b"".join(map(zigzag, (block.device, channels, n, seq0, t0_ns, step_ns)))
    seq = b"\0" if in_order else _array(n, b"".join(map(zigzag, block.seq.tolist())))
    at = b"\0" if regular else _array(n, b"".join(map(zigzag, block.at_us.tolist())))
    values = np.ascontiguousarray(block.values, "<f4").tobytes()
    return [BLOCK_HEAD + head + seq + at + _array(n * channels, values)]


def encode_samples(block: Block) -> list[bytes]:
    """Return one message per sample."""
    head = SAMPLE_HEAD + zigzag(block.device)
    rows = zip(block.seq.tolist(), block.at_us.tolist(), np.ascontiguousarray(block.values, "<f4"), strict=True)
    return [head + zigzag(seq) + zigzag(at) + _array(len(values), values.tobytes()) for seq, at, values in rows]


def decode(payload: Bytes) -> list[Block]:
    """Return the block that a message holds; a single sample becomes a block of one.

    Raises
    ------
    ValueError : the message is broken; it says how
    """
    head = bytes(payload[:_HEAD])
    if head == BLOCK_HEAD:
        return [_block(memoryview(payload))]
    if head != SAMPLE_HEAD:
        raise ValueError(f"not an Avro message with one of our schemas: it starts with {head!r}")
    view = memoryview(payload)
    device, at = long(view, _HEAD)
    seq, at = long(view, at)
    at_us, at = long(view, at)
    values, at = _floats(view, at)
    _check_end(view, at)
    return [Block(_device(device), np.array([seq], np.int64), np.array([at_us], np.int64), values.reshape(1, -1))]


def decode_many(messages: Sequence[Bytes | None], unreadable: list[tuple[int, str]]) -> list[Block] | None:
    """Return the samples of many single-sample messages, one block per device; None if some message has another form or is
    broken."""
    payloads = [payload for payload in messages if payload is not None]
    if len(payloads) < 2 or bytes(payloads[0][:_HEAD]) != SAMPLE_HEAD:
        return None
    lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
    data = np.frombuffer(b"".join(payloads) + bytes(10), np.uint8)
    ends = np.cumsum(lengths)
    start = ends - lengths
    if int(lengths.min()) < _HEAD + 5:
        return None
    if not bool((data[start[:, None] + np.arange(_HEAD)] == np.frombuffer(SAMPLE_HEAD, np.uint8)).all()):
        return None
    fields, at = [], start + _HEAD
    for _ in range(4):
        if (decoded := longs(data, at)) is None:
            return None
        fields.append(decoded[0])
        at = decoded[1]
    device, seq, at_us, count = fields
    channels = int(count[0])
    is_valid = (count == channels) & (at + 4 * channels + (1 if channels else 0) == ends) & (data[ends - 1] == 0)
    if channels < 0 or not bool(is_valid.all()) or int(device.min()) < 0 or int(device.max()) >= 1 << 32:
        return None
    values = data[at[:, None] + np.arange(4 * channels)].view("<f4")
    if bool((device == device[0]).all()):
        return [Block(int(device[0]), seq, at_us, values)]
    rows_of = {value: np.flatnonzero(device == value) for value in dict.fromkeys(device.tolist())}
    return [Block(device_id, seq[rows], at_us[rows], values[rows]) for device_id, rows in rows_of.items()]


def _block(view: memoryview) -> Block:
    fields, at = [], _HEAD
    for _ in range(6):
        value, at = long(view, at)
        fields.append(value)
    device, channels, n, seq0, t0_ns, step_ns = fields
    seq, at = _longs(view, at)
    at_us, at = _longs(view, at)
    values, at = _floats(view, at)
    _check_end(view, at)
    if channels < 0 or n < 0 or len(values) != n * channels or len(seq) not in (0, n) or len(at_us) not in (0, n):
        raise ValueError(f"{n} samples of {channels} channels are announced; {len(values)} values are there")
    if n and not channels:
        raise ValueError(f"{n} samples without channels")
    return Block(
        _device(device),
        seq if len(seq) else sample_numbers(seq0, n),
        at_us if len(at_us) else sample_times(t0_ns, step_ns, n),
        values.reshape(n, channels),
    )


def _device(device: int) -> int:
    if not 0 <= device < 1 << 32:
        raise ValueError(f"device {device} is not a number of 32 bits")
    return device


def _array(count: int, items: bytes) -> bytes:
    return zigzag(count) + items + b"\0" if count else b"\0"


def _longs(view: memoryview, at: int) -> tuple[Array, int]:
    values: list[int] = []
    while True:
        count, at = _count(view, at)
        if not count:
            return np.array(values, np.int64), at
        for _ in range(count):
            value, at = long(view, at)
            values.append(value)


def _floats(view: memoryview, at: int) -> tuple[Array, int]:
    parts: list[Array] = []
    while True:
        count, at = _count(view, at)
        if not count:
            return (np.concatenate(parts) if len(parts) != 1 else parts[0]) if parts else np.empty(0, np.float32), at
        if at + 4 * count > len(view):
            raise ValueError(f"truncated: {len(view) - at} bytes are left of {count} floats")
        parts.append(np.frombuffer(view, "<f4", count, at))
        at += 4 * count


def _count(view: memoryview, at: int) -> tuple[int, int]:
    count, at = long(view, at)
    if count < 0:  # a negative count is followed by the size in bytes
        count, (_, at) = -count, long(view, at)
    return count, at


def _check_end(view: memoryview, at: int) -> None:
    if at != len(view):
        raise ValueError(f"{len(view) - at} bytes too many")
