"""Sail for tests: one server for all of a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from caudal.engine.choice import sail
from caudal.engine.protocol import SessionRequest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def sail_server() -> Iterator[SparkSession]:
    """A session with Sail; PySpark's functions speak to it only within ``caudal.engine.choice.sail().speaking()``."""
    pytest.importorskip("pysail", reason="pip install 'caudal[sail]'")
    engine = sail()
    with engine.speaking():
        session = engine.session(SessionRequest(cores=2))
    yield session
    engine.stop()


@pytest.fixture
def on_sail(sail_server: SparkSession) -> Iterator[SparkSession]:
    """A session with Sail, to which PySpark's functions speak during the test."""
    with sail().speaking():
        yield sail_server
