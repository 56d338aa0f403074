"""Twice a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.stages.features.registered import feature

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@feature
def doubled(frame: DataFrame, column: str) -> DataFrame:
    """Return the frame with twice a column as ``<column>_doubled``."""
    return frame.withColumn(f"{column}_doubled", frame[column] * 2)
