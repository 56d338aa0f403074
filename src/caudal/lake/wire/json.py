"""JSON, one sample a message: the wire that everybody can write.

``{"device": 0, "seq": 1, "at": "2023-01-01T00:00:00.003906Z", "values": [4.5, null]}``; in place of ``at``, ``at_us`` gives the time in
microseconds since 1970, UTC. A time without an offset is taken as UTC. ``null`` is a missing value, and infinities, which JSON has
not, are written as null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from caudal.lake.wire.block import Array, Block

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BLOCK = 1 << 20  # bytes that one thread takes
_OPENS, _CLOSES = b"{}"
_NAMES = ("device", "seq", "values")
_SCHEMA = pa.schema(
    [("device", pa.int64()), ("seq", pa.int64()), ("at", pa.string()), ("at_us", pa.int64()), ("values", pa.list_(pa.float64()))]
)
Bytes = bytes | memoryview


def encode(block: Block) -> list[bytes]:
    """Return one message a sample."""
    at = np.datetime_as_string(block.at_us.astype("datetime64[us]"), unit="us")
    rows = zip(block.seq.tolist(), at.tolist(), np.ascontiguousarray(block.values, np.float32), strict=True)
    return [
        orjson.dumps({"device": block.device, "seq": seq, "at": f"{at}Z", "values": values}, option=orjson.OPT_SERIALIZE_NUMPY)
        for seq, at, values in rows
    ]


def decode(payload: Bytes) -> list[Block]:
    """Return the sample of a message as a block.

    Raises
    ------
    ValueError : the message is no sample; it says why
    """
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(said, dict):
        raise ValueError(f"not a JSON object but {type(said).__name__}")
    for name in _NAMES:
        if name not in said:
            raise ValueError(f"'{name}' is missing")
    device, seq, values = (said[name] for name in _NAMES)
    if not _whole(device) or not 0 <= device < 1 << 32:
        raise ValueError(f"'device' is {device!r}, not a whole number of 32 bits")
    if not _whole(seq) or not -(1 << 63) <= seq < 1 << 63:
        raise ValueError(f"'seq' is {seq!r}, not a whole number of 64 bits")
    if not isinstance(values, list) or not all(one is None or _number(one) for one in values):
        raise ValueError("'values' is not a list of numbers and nulls")
    return [Block(device, np.array([seq], np.int64), np.array([_at_us(said)], np.int64), _floats([values]))]


def many(payloads: Sequence[Bytes]) -> list[Block] | None:
    """Return the samples of many messages, one block for each device and number of channels, or None when one cannot be read so."""
    # One object a line: what begins and ends with braces holds at least one, and two that were cut badly make no JSON together.
    joined = b"\n".join(payloads)
    ends = np.cumsum(np.fromiter(map(len, payloads), np.int64, len(payloads)) + 1) - 2
    letters = np.frombuffer(joined, np.uint8)
    starts = np.append(0, ends[:-1] + 2)
    if np.any(ends < starts) or np.any(letters[ends] != _CLOSES) or np.any(letters[starts] != _OPENS):
        return None
    try:
        read = pj.read_json(
            pa.BufferReader(joined),
            read_options=pj.ReadOptions(block_size=max(_BLOCK, max(np.diff(ends, prepend=-2)))),
            parse_options=pj.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore"),
        )
        found = read.combine_chunks()
        device, seq, lists = (found.column(name).chunk(0) for name in _NAMES)
        at_us = _times(found)
    except pa.ArrowException:
        return None
    if len(found) != len(payloads) or device.null_count or seq.null_count or lists.null_count or at_us is None:
        return None
    devices, numbers = device.to_numpy(), seq.to_numpy()
    if len(devices) and (devices.min() < 0 or devices.max() >= 1 << 32):
        return None
    values = _narrow(lists.flatten().to_numpy(zero_copy_only=False))
    lengths = np.diff(lists.offsets.to_numpy())
    if np.all(devices == devices[0]) and np.all(lengths == lengths[0]):
        return [Block(int(devices[0]), numbers, at_us, values.reshape(len(numbers), int(lengths[0])))]
    blocks = []
    start = np.concatenate(([0], np.cumsum(lengths)))
    key = devices << 20 | lengths
    for one in dict.fromkeys(key.tolist()):
        rows = np.flatnonzero(key == one)
        channels = int(lengths[rows[0]])
        block = values[start[rows][:, None] + np.arange(channels)]
        blocks.append(Block(int(devices[rows[0]]), numbers[rows], at_us[rows], block))
    return blocks


def _times(found: pa.Table) -> Array | None:
    """Return times in microseconds, ``at_us`` before ``at``; None where there is neither."""
    given, said = found.column("at_us").chunk(0), found.column("at").chunk(0)
    if given.null_count:
        moments = pc.cast(said, pa.timestamp("us", "UTC")).cast(pa.int64())
        given = pc.coalesce(given, moments)
    times: Array | None = None if given.null_count else given.to_numpy()
    return times


def _at_us(said: dict[str, Any]) -> int:
    if (at_us := said.get("at_us")) is not None:
        if not _whole(at_us) or not -(1 << 63) <= at_us < 1 << 63:
            raise ValueError(f"'at_us' is {at_us!r}, not a whole number of microseconds")
        return int(at_us)
    at = said.get("at")
    if at is None:
        raise ValueError("'at' is missing, and so is 'at_us'")
    try:
        found = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        raise ValueError(f"'at' is {at!r}, not a time such as 2023-01-01T00:00:00.003906Z") from None
    since = (found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _floats(rows: list[list[Any]]) -> Array:
    return _narrow(np.array(rows, np.float64))


def _narrow(values: Array) -> Array:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there
        return values.astype(np.float32)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
