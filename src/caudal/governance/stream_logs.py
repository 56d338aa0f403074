"""A subject's samples in the embedded log of a stream: counted by decoding its messages.

They are not taken out: a stream's memory names messages by their offsets, and tells one log from another by the size and the checksum of the
first, so that a log that was written anew is refused by the stream that has read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.connection import Kafka
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.governance.held import Held
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
) -> Iterator[Held]:
    """Yield the log of a stream where it holds samples of the subject; what cannot be searched is named."""
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
    except Exception as error:  # noqa: BLE001 what cannot be read is said, not passed over
        not_searched.append(f"the log of stream {source.name}: {error}")
        return
    if unreadable:
        not_searched.append(f"the log of stream {source.name}: {unreadable} of its messages cannot be read")
    if samples:
        yield Held("stream", source.name, "log", samples, True, stays=_STAYS)


def _count(block: Block, channels: tuple[str, ...], columns: set[str], who: Person) -> int:
    """Return how many samples of a block are the subject's in one of some columns of the stream's table."""
    mine = pa.array([False] * len(block), pa.bool_())
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
        mine = pc.or_(mine, erased.which(values, name, {name}, who.is_it))
    return int(mine.true_count)
