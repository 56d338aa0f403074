"""Spark for plans of a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# To compile each into Java's code takes longer than to interpret it.
SMALL = {
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}  # fmt: skip


@pytest.fixture
def small(spark: SparkSession) -> Iterator[None]:
    """Have the shared session interpret plans instead of compiling them; other tests find it as it was."""
    before = {name: spark.conf.get(name, None) for name in SMALL}
    for name, value in SMALL.items():
        spark.conf.set(name, value)
    yield
    for name, was in before.items():
        if was is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, was)
