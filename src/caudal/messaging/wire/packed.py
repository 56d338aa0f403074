"""Packed blocks: a header of 44 bytes and the values as they are in memory; the format for millions of readings per second.

Little-endian throughout.

====== ========= ==========================================================
bytes  type      what
====== ========= ==========================================================
0–1    2 bytes   ``CB``
2      u8        version, 1
3      u8        flags: 1 explicit sample numbers, 2 explicit times
4–7    u32       device
8–9    u16       channels
10–11  u16       check of the header: CRC-32 of its other bytes, low half, never 0; 0 if the sender gives none
12–15  u32       samples
16–23  i64       number of the first sample; without flag 1 the others follow it one by one
24–31  i64       time of the first sample, nanoseconds since 1970, UTC
32–39  i64       nanoseconds from sample to sample, without flag 2
40–43  u32       CRC-32 of the body
44 …   body      [i64 × samples with flag 1] [i64 × samples, microseconds, with flag 2] f32 × samples × channels, by sample
====== ========= ==========================================================
"""

from __future__ import annotations

import struct
from zlib import crc32

import numpy as np

from caudal.messaging.wire.block import Array, Block
from caudal.messaging.wire.clock import sample_numbers, sample_times, start_and_step

WIRE, ORDER = "packed", 10
MAGIC, VERSION = b"CB", 1
EXPLICIT_SEQ, EXPLICIT_TIME = 1, 2
HEADER = struct.Struct("<2sBBIHHIqqqI")


def encode(block: Block) -> list[bytes]:
    """Return the block as one message.

    Raises
    ------
    ValueError : device, channels or samples are more than the header holds
    """
    n, channels = block.values.shape
    parts: list[bytes] = []
    flags, seq0, t0_ns, step_ns = 0, int(block.seq[0]) if n else 0, 0, 0
    if n > 1 and not (int(block.seq[-1]) - seq0 == n - 1 and bool((np.diff(block.seq) == 1).all())):
        flags |= EXPLICIT_SEQ
        parts.append(_body(block.seq, "<i8"))
    if (regular := start_and_step(block.at_us)) is None:
        flags |= EXPLICIT_TIME
        parts.append(_body(block.at_us, "<i8"))
    else:
        t0_ns, step_ns = regular
    body = b"".join((*parts, _body(block.values, "<f4")))
    fields = [MAGIC, VERSION, flags, block.device, channels, 0, n, seq0, t0_ns, step_ns, crc32(body)]
    try:
        fields[5] = _check(HEADER.pack(*fields))
        return [HEADER.pack(*fields) + body]
    except struct.error as error:
        raise ValueError(f"the block does not fit a packed header: {error}") from None


def decode(payload: bytes | memoryview) -> list[Block]:
    """Return the consecutive blocks in a payload; their values are views of it.

    Raises
    ------
    ValueError : the payload is broken; the message says how
    """
    view = memoryview(payload)
    blocks: list[Block] = []
    start = 0
    while start < len(view) or not blocks:
        block, start = _decode_block(view, start)
        blocks.append(block)
    return blocks


def with_device(message: bytes, device: int) -> bytes:
    """Return a message's single block as that of another device; the body is not decoded, so that many devices cost little."""
    header = bytearray(message[: HEADER.size])
    header[4:8] = device.to_bytes(4, "little")
    header[10:12] = _check(bytes(header)).to_bytes(2, "little")
    return bytes(header) + message[HEADER.size :]


def _decode_block(view: memoryview, start: int) -> tuple[Block, int]:
    if len(view) - start < HEADER.size:
        raise ValueError(f"{len(view) - start} bytes are too few for a header of {HEADER.size}")
    header = bytes(view[start : start + HEADER.size])
    magic, version, flags, device, channels, check, n, seq0, t0_ns, step_ns, crc = HEADER.unpack(header)
    if magic != MAGIC:
        raise ValueError(f"not a packed block: it starts with {magic!r}")
    if version != VERSION:
        raise ValueError(f"packed blocks of version {version} are not known")
    if check and check != _check(header):
        raise ValueError("the header's check does not fit: its bytes were changed")
    if flags & ~(EXPLICIT_SEQ | EXPLICIT_TIME):
        raise ValueError(f"flags {flags:#x} are not known")
    body = start + HEADER.size
    at = body + (8 * n if flags & EXPLICIT_SEQ else 0)
    values = at + (8 * n if flags & EXPLICIT_TIME else 0)
    end = values + 4 * n * channels
    if end > len(view):
        raise ValueError(f"truncated: {len(view) - body} bytes of a body of {end - body}")
    if crc32(view[body:end]) != crc:
        raise ValueError("the checksum does not fit: the body's bytes were changed")
    # Copied, because the header's length leaves them unaligned; they are small.
    seq = np.frombuffer(view, "<i8", n, body).copy() if flags & EXPLICIT_SEQ else sample_numbers(seq0, n)
    at_us = np.frombuffer(view, "<i8", n, at).copy() if flags & EXPLICIT_TIME else sample_times(t0_ns, step_ns, n)
    return Block(device, seq, at_us, np.frombuffer(view, "<f4", n * channels, values).reshape(n, channels)), end


def _check(header: bytes) -> int:
    return crc32(header[12:], crc32(header[:10])) & 0xFFFF or 0xFFFF


def _body(array: Array, dtype: str) -> bytes:
    return np.ascontiguousarray(array, dtype).tobytes()
