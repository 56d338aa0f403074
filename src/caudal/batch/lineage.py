"""The column lineage of a step's rows, as the ledger stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from caudal.engine.lineage import column_lineage
from caudal.ledger.rows import LineageDocument

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def lineage_document(rows: DataFrame, inputs: Mapping[str, DataFrame]) -> LineageDocument:
    """Return the input columns that each column of a frame is made of.

    Parameters
    ----------
    inputs : the frames that the rows are made of, by the alias that each has
    """
    lineage = column_lineage(rows, {name: frame.columns for name, frame in inputs.items()})
    return cast(LineageDocument, lineage)
