"""Servers of Spark Connect for tests: one of each kind for all of a process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from caudal.engine.choice import sail, session_engine
from caudal.engine.connect import ConnectEngine
from caudal.engine.exact import common_magnitudes
from caudal.engine.java import java_home
from caudal.engine.jvm import common_options, spark_home
from caudal.engine.loopback import HOST, free_port, start_program, stop_program
from caudal.engine.protocol import SessionRequest, unequal_rows
from caudal.errors import EngineLacks, EnvironmentProblem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


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
    """A session with Sail, to which PySpark's functions speak during the test; another one where a test before has ended the server."""
    with sail().speaking():
        yield sail().session(SessionRequest(cores=2))


@pytest.fixture(params=["spark", "sail"])
def each_session(request: pytest.FixtureRequest) -> Iterator[SparkSession]:
    """A session with Spark, which plans for a few rows, and one with Sail, for which sums of doubles are planned as a run first plans them."""
    if request.param == "spark":
        request.getfixturevalue("small")
    session = request.getfixturevalue("spark" if request.param == "spark" else "on_sail")
    with common_magnitudes() if request.param == "sail" else nullcontext():
        yield session


def as_auto_computes(frame: DataFrame) -> DataFrame:
    """Return the frame that a run with the engine ``auto`` computes in the place of one.

    Raises
    ------
    EngineLacks : such a run leaves the frame to Spark
    """
    engine = session_engine(frame.sparkSession)
    prepared, unequal = engine.prepared(frame)
    if unequal:
        raise EngineLacks(unequal_rows(engine, unequal), engine=engine.name)
    return prepared


def rows_to_the_bit(frame: DataFrame) -> list[str]:
    """Return the rows of a frame as sorted texts that differ where a bit differs: ``repr`` of a double gives back the same double."""
    return sorted(repr(tuple(row.items())) for row in frame.toArrow().to_pylist())


@pytest.fixture(scope="session")
def connect_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Spark Connect server of Spark's own, started as anybody starts one."""
    folder, java, port = tmp_path_factory.mktemp("connect"), java_home(), free_port()
    packages = ("java.nio", "sun.nio.ch", "java.lang", "java.util", "java.lang.invoke", "java.net", "sun.util.calendar")
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in packages]
    settings = {
        "spark.master": "local[2]", "spark.app.name": "connect", "spark.ui.enabled": "false", "spark.connect.grpc.binding.port": str(port),
        "spark.sql.shuffle.partitions": "2", "spark.driver.host": HOST, "spark.driver.bindAddress": HOST,
        "spark.connect.grpc.binding.address": HOST,
    }  # fmt: skip
    options = ["-Xmx1g", *common_options(java), *opened, *(f"-D{name}={value}" for name, value in settings.items())]
    command = [
        str(java.java),
        *options,
        "-cp",
        str(spark_home() / "jars" / "*"),
        "org.apache.spark.sql.connect.service.SparkConnectServer",
    ]
    environment = {**os.environ, "SPARK_HOME": str(spark_home()), "SPARK_LOCAL_IP": HOST, "PYSPARK_PYTHON": sys.executable}
    process = start_program(command, folder / "server.log", cwd=folder, environment=environment)
    address = f"sc://{HOST}:{port}"
    until = time.monotonic() + 120
    while not _answers(address):
        assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
        assert time.monotonic() < until, (folder / "server.log").read_text()[-2000:]
        time.sleep(0.5)
    yield address
    stop_program(process, 20)


def _answers(address: str) -> bool:
    engine = ConnectEngine(address)
    try:
        with engine.speaking():
            engine.session(SessionRequest())
    except EnvironmentProblem:
        return False
    engine.stop()
    return True
