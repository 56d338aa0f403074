"""Avro's integers: zig-zag, seven bits a byte, the lowest first (Avro 1.12 specification, "Binary encoding")."""

from __future__ import annotations

import numpy as np

from caudal.messaging.wire.block import Array

_LONGEST = 10  # bytes of a 64-bit integer


def zigzag(value: int) -> bytes:
    """Return an integer of 64 bits in Avro's encoding.

    Examples
    --------
    >>> zigzag(-65).hex(), long(zigzag(-65), 0)
    ('8101', (-65, 2))
    """
    rest = (value << 1) ^ (value >> 63)
    octets = bytearray()
    while rest > 0x7F:
        octets.append(rest & 0x7F | 0x80)
        rest >>= 7
    octets.append(rest)
    return bytes(octets)


def long(view: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the integer at position ``at`` and the position after it.

    Raises
    ------
    ValueError : the bytes end within the integer, or it is longer than 64 bits
    """
    value = 0
    for index in range(_LONGEST):
        if at + index >= len(view):
            raise ValueError("truncated within a number")
        octet = view[at + index]
        value |= (octet & 0x7F) << (7 * index)
        if not octet & 0x80:
            if value >> 64:
                break
            return (value >> 1) ^ -(value & 1), at + index + 1
    raise ValueError("a number of more than 64 bits")


def longs(data: Array, at: Array) -> tuple[Array, Array] | None:
    """Return the integers at many positions of ``data`` (uint8, with ten spare bytes) and the positions after them, or None.

    None if one of them is longer than 64 bits.
    """
    value = np.zeros(len(at), np.uint64)
    at, unfinished = at.copy(), np.ones(len(at), bool)
    for index in range(_LONGEST):
        octet = np.where(unfinished, data[np.minimum(at, len(data) - 1)], 0).astype(np.uint64)
        if index == _LONGEST - 1 and int(octet.max(initial=0)) > 1:
            return None
        value |= (octet & np.uint64(0x7F)) << np.uint64(7 * index)
        at += unfinished
        unfinished &= octet >= 0x80
        if not unfinished.any():
            break
    signed = (value >> np.uint64(1)).astype(np.int64) ^ -(value & np.uint64(1)).astype(np.int64)
    return signed, at
