"""Decode many messages at once, and report which cannot be read and why."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from caudal.messaging.wire.block import Block, join_blocks
from caudal.messaging.wire.codec import codec

Bytes = bytes | memoryview
DAMAGED = "the stored bytes are damaged"


def many(payloads: pa.Array | Sequence[bytes], wire: str) -> tuple[list[Block], list[tuple[int, str]]]:
    """Return the blocks of many messages, and the position and reason of each message that cannot be read.

    Blocks keep the order of a device's samples. Single-sample messages are gathered into one block per device; if a format's
    messages hold blocks, each stays one. A null, the embedded log's mark of a damaged record, is a message that cannot be read.

    Parameters
    ----------
    payloads : binary array of Arrow, or a sequence of bytes
    wire : str, the name of a wire, such as ``packed``
    """
    views = list(_views(payloads))
    unreadable = [(position, DAMAGED) for position, view in enumerate(views) if view is None]
    decoder: Any = codec(wire)
    if hasattr(decoder, "decode_many") and (blocks := decoder.decode_many(views, unreadable)) is not None:
        return blocks, sorted(unreadable)
    decoded: list[Block] = []
    for position, view in enumerate(views):
        try:
            decoded += decoder.decode(view) if view is not None else ()
        except ValueError as error:
            unreadable.append((position, str(error)))
    return (_join_small_blocks(decoded) if getattr(decoder, "GATHERED", False) else decoded), sorted(unreadable)


def _join_small_blocks(blocks: list[Block]) -> list[Block]:
    """Return blocks of one sample joined by device and number of channels; larger ones stay as they are."""
    result: list[Block] = []
    open_: dict[tuple[int, int], list[Block]] = {}
    for block in blocks:
        if len(block) == 1:
            open_.setdefault((block.device, block.channels), []).append(block)
        else:
            result.append(block)
    return result + [join_blocks(parts) for parts in open_.values()]


def _views(payloads: pa.Array) -> list[Bytes | None]:
    if isinstance(payloads, pa.ChunkedArray):
        return [view for chunk in payloads.chunks for view in _views(chunk)]
    if not isinstance(payloads, pa.Array):
        return list(payloads)
    array = payloads if pa.types.is_binary(payloads.type) else payloads.cast(pa.binary())
    _, offsets_at, data = array.buffers()
    offsets = np.frombuffer(offsets_at, np.int32, len(array) + 1, 4 * array.offset).tolist() if len(array) else [0]
    view = memoryview(data) if data is not None else memoryview(b"")
    views: list[Bytes | None] = [view[start:stop] for start, stop in pairwise(offsets)]
    if array.null_count:
        for position in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist():
            views[position] = None
    return views
