"""Spark for plans of a few rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest
from tests.here import INTERPRETED

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL = INTERPRETED | {"spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": "1"}
COMPILED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}


@pytest.fixture
def small(spark: SparkSession) -> Iterator[None]:
    """Have the shared session plan for a few rows; other tests find it as it was."""
    with _set(spark, SMALL):
        yield


@pytest.fixture(scope="module")
def compiled(spark: SparkSession) -> Iterator[None]:
    """Have the shared session compile plans, as users' sessions do: for many rows, and where the last bit counts."""
    with _set(spark, COMPILED):
        yield


@contextlib.contextmanager
def _set(spark: SparkSession, conf: Mapping[str, str]) -> Iterator[None]:
    before = {name: spark.conf.get(name, None) for name in conf}
    for name, value in conf.items():
        spark.conf.set(name, value)
    yield
    for name, was in before.items():
        if was is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, was)
