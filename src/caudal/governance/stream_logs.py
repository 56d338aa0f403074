"""Count a subject's samples in the embedded log of a stream, by decoding its messages.

They are not removed: a stream's checkpoint names messages by their offsets, and identifies a log by the size and the checksum of its
first message, so that the stream refuses a log that was rewritten after it read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.connection import Kafka
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.governance.held import Occurrence
from caudal.governance.identity import Person
from caudal.messaging.log import Reader
from caudal.messaging.wire import Block, many
from caudal.tables import erased
from caudal.tables.home import Home

_STAYS = (
    "a stream knows the messages of its log by their places, so none is taken out. Move the stream's folder away when all of it was "
    "captured, and begin the stream anew"
)


def log_of(
    home: Home, product: Product, source: Source, who: Person, columns: set[str], searched: dict[str, int], not_searched: list[str]
) -> Iterator[Occurrence]:
    """Yield a stream's log if it holds samples of the subject; record what cannot be searched."""
    connection: Any = source.connection
    if isinstance(connection, Kafka):
        not_searched.append(
            f"topic '{connection.topic}' of stream {source.name}: it lies in Kafka, and is kept there as the topic is set"
        )
        return
    log = Reader(home.stream(product.name, source.name))
    searched[f"streams/{source.name}"] = len(log.end())
    samples = unreadable = 0
    try:
        for partition, end in enumerate(log.end()):
            for batch in log.batches(partition, 0, end):
                blocks, wrong = many(batch.column("payload"), connection.wire)
                unreadable += len(wrong)
                samples += sum(_count(block, connection.channels, columns, who) for block in blocks)
    except Exception as error:  # noqa: BLE001 what cannot be read is reported, not skipped
        not_searched.append(f"the log of stream {source.name}: {error}")
        return
    if unreadable:
        not_searched.append(f"the log of stream {source.name}: {unreadable} of its messages cannot be read")
    if samples:
        yield Occurrence("stream", source.name, "log", samples, True, stays=_STAYS)


def _count(block: Block, channels: tuple[str, ...], columns: set[str], who: Person) -> int:
    """Return how many samples of a block are the subject's, by any of some columns of the stream's table."""
    mask = pa.array([False] * len(block), pa.bool_())
    if "device" in columns and who.is_it(block.device):
        return len(block)
    for name in columns - {"device"}:
        if name == "seq":
            values = pa.array(block.seq)
        elif name == "at":
            values = pa.array(block.at_us, pa.timestamp("us", "UTC"))
        elif name in channels[: block.channels]:
            values = pa.array(block.values[:, channels.index(name)])
        else:
            continue
        mask = pc.or_(mask, erased.array_mask(values, name, {name}, who.is_it))
    return int(mask.true_count)
