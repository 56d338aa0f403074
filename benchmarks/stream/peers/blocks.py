"""Packed blocks to sums by device and window with NumPy: what an engine without a decoder is given. The wire: `caudal.messaging.wire.packed`."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

Array = np.ndarray[Any, Any]
_HEADER = struct.Struct("<2sBBIHHIqqqI")
_SECOND_US = 1_000_000


class Samples(NamedTuple):
    """device, at_us int64 [n]; values float32 [n, channels], NaN where one is missing."""

    device: Array
    at_us: Array
    values: Array


class Sums(NamedTuple):
    """device, second, newest_us int64 [k]; sums float64 [k, 5, channels]: count, sum, sum of squares, min, max."""

    device: Array
    second: Array
    newest_us: Array
    sums: Array


def unpacked(payloads: Iterable[bytes]) -> Samples:
    """Return the samples of messages that hold one block each, with regular times."""
    parts = [_block(payload) for payload in payloads]
    return Samples(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def summed(samples: Samples) -> Sums:
    """Return what adds up to the statistics of windows of one second."""
    key = samples.device << 40 | samples.at_us // _SECOND_US
    if np.any(key[1:] < key[:-1]):
        order = np.argsort(key, kind="stable")
        key, samples = key[order], Samples(*(one[order] for one in samples))
    start = np.concatenate(([0], np.flatnonzero(np.diff(key)) + 1))
    good = np.isfinite(samples.values)
    values = np.where(good, samples.values, 0).astype(np.float64)
    sums = np.stack(
        [
            np.add.reduceat(good, start, axis=0, dtype=np.float64),
            np.add.reduceat(values, start, axis=0),
            np.add.reduceat(values * values, start, axis=0),
            np.fmin.reduceat(samples.values, start, axis=0),
            np.fmax.reduceat(samples.values, start, axis=0),
        ],
        axis=1,
    )
    return Sums(key[start] >> 40, key[start] & (1 << 40) - 1, np.maximum.reduceat(samples.at_us, start), sums)


def by_sensor(found: Sums) -> tuple[Array, ...]:
    """Return the same as eight columns of one row a window and sensor: device, newest_us, sensor int32, the sums."""
    windows, _, channels = found.sums.shape
    sums = found.sums.transpose(1, 0, 2).reshape(5, -1)
    sensor = np.tile(np.arange(channels, dtype=np.int32), windows)
    return np.repeat(found.device, channels), np.repeat(found.newest_us, channels), sensor, *sums


def merged(one: Array, other: Array) -> Array:
    """Return the sums of both, [5, channels]."""
    added = one + other
    added[3], added[4] = np.fmin(one[3], other[3]), np.fmax(one[4], other[4])
    return added


def statistics(device: int, second: int, sums: Array, sensor: int = 0) -> list[list[float]]:
    """Return a window's rows as `Task.windows` takes them, for the sensors from ``sensor`` on."""
    count, total, squares, low, high = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        variance = (squares - total * mean) / (count - 1)
    columns = (count, low, high, mean, variance)
    return [[device, i, second, *row] for i, row in enumerate(np.stack(columns, axis=1).tolist(), sensor)]


def _block(payload: bytes) -> Samples:
    magic, version, flags, device, channels, _, n, _, t0_ns, step_ns, crc = _HEADER.unpack_from(payload)
    body = memoryview(payload)[_HEADER.size :]
    if (magic, version, flags) != (b"CB", 1, 0) or crc32(body) != crc:
        raise ValueError("not a packed block with regular times")
    at_us = (t0_ns + step_ns * np.arange(n, dtype=np.int64)) // 1000
    return Samples(np.full(n, device, np.int64), at_us, np.frombuffer(body, "<f4").reshape(n, channels))
