"""JSON, one sample a message: the wire that everybody can write.

``{"device": 0, "seq": 1, "at": "2023-01-01T00:00:00.003906Z", "values": [4.5, null]}``; in place of ``at``, ``at_us`` gives the time in
microseconds since 1970, UTC. A time without an offset is taken as UTC. ``null`` is a missing value, and infinities, which JSON has
not, are written as null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from caudal.lake.wire.block import Array, Block

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES = ("device", "seq", "values")
_NUMBERS = {int, float, type(None)}
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
    try:
        said: list[dict[str, Any]] = orjson.loads(b"[" + b",".join(payloads) + b"]")
        if len(said) != len(payloads):
            return None
        device = _integers([one["device"] for one in said])
        if len(device) and (device.min() < 0 or device.max() >= 1 << 32):
            return None
        seq = _integers([one["seq"] for one in said])
        at_us = _times(said)
        values = [one["values"] for one in said]
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        flat = list(chain.from_iterable(values))
        if not set(map(type, flat)) <= _NUMBERS:
            return None
        numbers = _narrow(pa.array(flat, pa.float64()).to_numpy(zero_copy_only=False))
    except (ValueError, TypeError, KeyError, OverflowError, pa.ArrowException):
        return None
    blocks = []
    start = np.concatenate(([0], np.cumsum(lengths)))
    key = device << 20 | lengths
    for one in dict.fromkeys(key.tolist()):
        rows = np.flatnonzero(key == one)
        channels = int(lengths[rows[0]])
        block = numbers[start[rows][:, None] + np.arange(channels)]
        blocks.append(Block(int(device[rows[0]]), seq[rows], at_us[rows], block))
    return blocks


def _times(said: list[dict[str, Any]]) -> Array:
    at = [one.get("at") for one in said]
    if None in at:
        return np.array([_at_us(one) for one in said], np.int64)
    found: Array = pc.cast(pa.array(at, pa.string()), pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return found


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


def _integers(values: list[Any]) -> Array:
    if set(map(type, values)) != {int}:  # Arrow would cut 1.5 to 1
        raise ValueError("not whole numbers")
    found: Array = pa.array(values, pa.int64()).to_numpy(zero_copy_only=True)
    return found


def _floats(rows: list[list[Any]]) -> Array:
    return _narrow(np.array(rows, np.float64))


def _narrow(values: Array) -> Array:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there
        return values.astype(np.float32)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
