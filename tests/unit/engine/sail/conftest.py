"""One Sail server for the tests of its folder; no JVM."""

from __future__ import annotations

import pytest

from caudal.engine.sail.sail_side import sail_session
from caudal.engine.sail.table import installed_table


@pytest.fixture(scope="session")
def sail():
    """A session of Spark Connect whose server is Sail, in this process."""
    with sail_session() as session:
        yield session


@pytest.fixture(scope="session")
def trips(sail):
    """One trip, with a column of each common type."""
    return sail.sql(
        "SELECT 1 AS id, 'a' AS zone, 2.5D AS fare, DATE '2024-01-07' AS day, TIMESTAMP '2024-01-07 12:00:00' AS at, "
        "array(1, 2) AS counts, named_struct('x', 1, 'y', 'b') AS place, cast(1.5 AS decimal(10,2)) AS tip, map('a', 1) AS by_name"
    )


@pytest.fixture(scope="module")
def bundled_java():
    """The Java that Sail was compared with, whatever Java this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAUDAL_JAVA", "bundled")
        installed_table.cache_clear()
        yield
    installed_table.cache_clear()
