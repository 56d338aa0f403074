"""What all tests share: one Spark session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from caudal.spark import session, stop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of this test run, with the connectors that tests of tables use."""
    yield session(connectors=frozenset({"avro"}), cores=2, memory="1g", app="caudal-tests")
    stop()
