"""What ``caudal stream`` asks of topics whose messages are rows; the work is that of a run's steps, and is given from above."""

from __future__ import annotations

from typing import Protocol

from caudal.declarations.events import Events
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.report.documents import TopicDocument
from caudal.stages.ingest.streams.tap import SourceUnavailable


class RowStream(Protocol):
    """Brings what follows from a product's topics up to date, one micro-batch after another.

    Attributes
    ----------
    label : str, what errors call it
    unavailable : why no message can be read at present; None while the brokers answer
    """

    label: str
    unavailable: SourceUnavailable | None

    def step(self) -> bool:
        """Perform a micro-batch if there is something to do, and return whether messages were landed."""

    def finish(self) -> None:
        """Do what does not belong to each micro-batch once more."""

    def close(self) -> None:
        """Leave the brokers."""

    def documents(self) -> dict[str, TopicDocument]:
        """Return the counts of each topic since the stream began."""


def event_sources(product: Product) -> list[Source]:
    """Return the sources whose rows are messages of a topic."""
    return [source for source in product.sources.values() if isinstance(source.connection, Events)]
