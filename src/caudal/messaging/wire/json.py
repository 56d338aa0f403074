"""JSON, one sample per message: the format that everybody can write.

``{"device": 0, "seq": 1, "at": "2023-01-01T00:00:00.003906Z", "values": [4.5, null]}``; in place of ``at``, ``at_us`` gives the time in
microseconds since 1970, UTC. A time without an offset is taken as UTC. ``null`` is a missing value, and so is ``NaN``, which is not JSON
but Python writes it; infinities are written as null, and read if a sender writes ``Infinity``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import orjson

from caudal.messaging.wire.alike import FEWEST, Sent, read_alike
from caudal.messaging.wire.block import Array, Block

WIRE, ORDER = "json", 11
_AT_ONCE = 1024  # messages that Arrow reads at once: one that it cannot read has as many read one by one
_MOST_FAILURES = 2  # in a row, after which the others are read one by one
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = {int, float, type(None)}
Bytes = bytes | memoryview


def encode(block: Block) -> list[bytes]:
    """Return one message per sample."""
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
    ValueError : the message is not a sample; the error says why
    """
    device, seq, at_us, values = _sample(payload)
    return [Block(device, np.array([seq], np.int64), np.array([at_us], np.int64), _narrow(np.array([values], np.float64)))]


def decode_many(payloads: Sequence[Bytes | None], unreadable: list[tuple[int, str]]) -> list[Block]:
    """Return the samples of many messages, one block per device and number of channels; unreadable messages are added to
    ``unreadable``.

    Each message is read as `decode` reads it, independent of the others.
    """
    parts: list[Sent] = []
    failures = 0
    for first in range(0, len(payloads), _AT_ONCE):
        some = payloads[first : first + _AT_ONCE]
        part = None
        if len(some) >= FEWEST and failures < _MOST_FAILURES and None not in some:
            part = read_alike(cast("Sequence[Bytes]", some))
            failures = failures + 1 if part is None else 0
        parts.append(part or _one_by_one(some, first, unreadable))
    return _by_device(parts)


def _one_by_one(payloads: Sequence[Bytes | None], first: int, unreadable: list[tuple[int, str]]) -> Sent:
    """Return the samples of messages that are read each by itself; ``first`` is the position of the first."""
    devices, numbers, times, rows = list[int](), list[int](), list[int](), list[list[float | None]]()
    for position, payload in enumerate(payloads, first):
        if payload is None:
            continue
        try:
            device, seq, at_us, values = _sample(payload)
        except ValueError as error:
            unreadable.append((position, str(error)))
            continue
        devices.append(device)
        numbers.append(seq)
        times.append(at_us)
        rows.append(values)
    flat = np.array([value for values in rows for value in values], np.float64)
    channels = [len(row) for row in rows]
    return Sent(_integers(devices), _integers(numbers), _integers(times), _integers(channels), flat)


def _integers(numbers: list[int]) -> Array:
    return np.array(numbers, np.int64)


def _by_device(parts: Sequence[Sent]) -> list[Block]:
    """Return a block per device and number of channels, in the order in which they came first."""
    if not parts:
        return []
    device, seq, at_us, channels, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    narrow = _narrow(values)
    starts = np.cumsum(channels) - channels
    blocks = []
    for place in _groups(device, channels):
        width = int(channels[place[0]])
        whole = len(place) == len(device)
        rows = narrow.reshape(len(place), width) if whole else narrow[starts[place, None] + np.arange(width)]
        blocks.append(Block(int(device[place[0]]), seq[place], at_us[place], rows))
    return blocks


def _groups(device: Array, channels: Array) -> list[Array]:
    """Return the positions of each device with a number of channels, in the order in which they came first."""
    if len(device) == 0:
        return []
    if (device == device[0]).all() and (channels == channels[0]).all():
        return [np.arange(len(device))]
    order = np.lexsort((channels, device))
    ends = np.flatnonzero(np.diff(device[order]) | np.diff(channels[order])) + 1
    return sorted(np.split(order, ends), key=lambda places: int(places[0]))


def _sample(payload: Bytes) -> tuple[int, int, int, list[float | None]]:
    """Return device, number, time and values of a message."""
    document = _parse(payload)
    if type(document) is not dict:
        raise ValueError(f"not a JSON object but {type(document).__name__}")
    try:
        device, seq, values = document["device"], document["seq"], document["values"]
    except KeyError as error:
        raise ValueError(f"{error} is missing") from None
    if type(device) is not int or not 0 <= device < 1 << 32:
        raise ValueError(f"'device' is {device!r}, not a whole number of 32 bits")
    if type(seq) is not int or not -(1 << 63) <= seq < 1 << 63:
        raise ValueError(f"'seq' is {seq!r}, not a whole number of 64 bits")
    if type(values) is not list or not _NUMBERS.issuperset(map(type, values)):
        raise ValueError("'values' is not a list of numbers and nulls")
    return device, seq, _at_us(document), values


def _parse(payload: Bytes) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        reason = error
    try:  # NaN and Infinity, as Python writes them
        return json.loads(bytes(payload).decode(), parse_int=_whole)
    except (ValueError, RecursionError):
        raise ValueError(f"not JSON: {reason}") from None


def _whole(digits: str) -> int | float:
    """Return a whole number as orjson reads it: one of more than 64 bits is a float."""
    value = float(digits)
    return int(digits) if abs(value) < 1 << 62 or -(1 << 63) <= int(digits) < 1 << 64 else value


def _at_us(document: dict[str, Any]) -> int:
    if (at_us := document.get("at_us")) is not None:
        if type(at_us) is not int or not -(1 << 63) <= at_us < 1 << 63:
            raise ValueError(f"'at_us' is {at_us!r}, not a whole number of microseconds")
        return int(at_us)
    at = document.get("at")
    if at is None:
        raise ValueError("'at' is missing, and so is 'at_us'")
    try:
        moment = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        raise ValueError(f"'at' is {at!r}, not a time such as 2023-01-01T00:00:00.003906Z") from None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _narrow(values: Array) -> Array:
    with np.errstate(over="ignore"):  # values beyond float32 become infinite
        return values.astype(np.float32)
