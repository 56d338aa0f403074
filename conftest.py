"""What all tests share: one Spark session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from caudal.spark import session, stop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest_plugins = ["tests.postgres", "tests.servers.hdfs", "tests.servers.places", "tests.servers.s3"]

# Machines are shared: how long an example takes says nothing.
settings.register_profile("caudal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("caudal")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session of this test run, with the connectors that tests of tables use."""
    stop()  # a test before may have started one of its own, without these
    yield session(connectors=frozenset({"avro"}), cores=2, memory="1g", app="caudal-tests")
    stop()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped, with its name, where it is absent."""
    folder = Path(os.environ.get("CAUDAL_DATA", "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set CAUDAL_DATA")
    return folder
