"""A product's tables in its home: their folders, published versions and Spark frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.engine.marks import marked_schema
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.tables.home import Home

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class ProductTables:
    """The tables of one product in one home.

    Parameters
    ----------
    verified_raw_files : raw files whose bytes were compared with their hash since this object was made: each is compared once a run
    """

    product: Product
    home: Home
    verified_raw_files: set[Place] = field(default_factory=set)

    def folder(self, table: str) -> Place:
        """Return the folder of a table."""
        return self.home.table(self.product.name, table)

    def quarantine(self, table: str) -> Place:
        """Return the folder of a table's quarantined rows."""
        return self.home.quarantine(self.product.name, table)

    def version(self, table: str) -> int | None:
        """Return the number of a table's newest published version; None before the first."""
        return delta.version_of(self.folder(table))

    def frame(
        self, spark: SparkSession, table: str, days: set[str | None] | None = None, segments: set[str] | None = None
    ) -> DataFrame:
        """Return the newest version of a table as a Spark frame with its event time marked.

        Parameters
        ----------
        days : only the rows of these days; None for all
        segments : only the rows of these raw files; None for all
        """
        from caudal.tables.frames import version_frame

        rows = version_frame(spark, delta.read_version(self.folder(table)), days, segments)
        return mark_event_time(rows, self.product.nodes.get(table))


def mark_event_time(frame: DataFrame, node: Node | None) -> DataFrame:
    """Return the frame with the declared event-time column marked in its metadata, by which windows recognise it."""
    if node is None or not node.event_time or node.event_time not in frame.columns:
        return frame
    metadata = dict(marked_schema(frame)[node.event_time].metadata)
    return frame.withMetadata(node.event_time, {**metadata, "caudal.event_time": True})
