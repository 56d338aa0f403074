"""The engine ``sail``: a Connect server without Java, started by caudal in a process of its own.

A process of its own, because Sail ends its process by a segmentation fault where a plan is nested too deeply (a union of 365 frames
with stacks of the usual size), and a run must survive that: its step is done on Spark, or fails with a sentence.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

from caudal.engine.capability import Capability
from caudal.engine.connect import LACKS_OF_CLIENTS, ConnectEngine
from caudal.engine.known_schema import known_schema, with_known_schema
from caudal.engine.loopback import HOST, close_pipe
from caudal.engine.protocol import SessionRequest, UnequalPart
from caudal.errors import EnvironmentProblem
from caudal.extras import missing_library

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STACK_BYTES = 128 << 20  # only reserved; a plan of a thousand unions fits
IDLE_S = 365 * 86_400  # the server ends with this process; by default it forgets a session that is idle for 15 minutes
LACKS: Mapping[Capability, str] = {
    **LACKS_OF_CLIENTS,
    Capability.OBSERVE: "it does not implement observations ('collect metrics')",
    Capability.FILE_NAMES: "it has neither '_metadata' nor input_file_name()",
    Capability.CORRUPT_RECORDS: "its readers of text have no column for them",
    Capability.JSON_SCHEMA: "it reads schemas as DDL alone",
    Capability.TEXT_PARSING: "its patterns and casts of text are not Java's",
    Capability.TO_JSON: "its to_json writes wall times with a zone",
    Capability.METADATA: "it keeps it through casts and some functions",
    Capability.LITERAL_PATHS: "it takes [ ] { } * ? for patterns",
    Capability.PARQUET_WRITER: "its pages have no checksums, and rows without a day lie where those with an empty one lie",
    Capability.PARQUET_TYPES: "it takes Arrow's for the file's (categories, nanoseconds, durations)",
    Capability.PAGE_CHECKSUMS: "its reader ignores them",
    Capability.CANCELLING: "it does not interrupt operations by tags",
    Capability.SPARK_ML: "it has no Spark ML",
    Capability.CONNECTORS: "it has no Java",
    Capability.HADOOP_SETTINGS: "it has no Hadoop",
}


class SailEngine(ConnectEngine):
    """Sail on this machine."""

    def __init__(self) -> None:
        """Start nothing yet."""
        super().__init__("sc://127.0.0.1")
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = False  # whether its port is known

    @property
    def name(self) -> str:
        """Return ``sail``."""
        return "sail"

    @property
    def title(self) -> str:
        """Its name with its version."""
        try:
            return f"Sail {version('pysail')}"
        except PackageNotFoundError:
            return "Sail"

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """What Sail cannot do."""
        return LACKS

    def session(self, request: SessionRequest) -> SparkSession:
        """Return the session with the server, which is started when it is first asked for.

        Raises
        ------
        EnvironmentProblem : Sail is not installed, or does not start
        """
        try:
            return self._started(request)
        except EnvironmentProblem:
            if not self.has_died(within_s=1.0):  # of a process that has just been ended it is not known at once
                raise
        return self._started(request)

    def _started(self, request: SessionRequest) -> SparkSession:
        if self._process is None or self._process.poll() is not None:
            self._launch(request.cores)
        if self._process is not None and not self._answers:
            # The client takes as long to be imported as the server to start.
            import pyspark.sql.connect.session  # noqa: F401

            self._address = f"sc://{HOST}:{_port(self._process)}"
            self._answers = True
        return super().session(request)

    def start_ahead(self, cores: int | None) -> None:
        """Start the server beside what this process does until it asks for the session."""
        if find_spec("pysail") is not None and (self._process is None or self._process.poll() is not None):
            self._launch(cores)

    def _launch(self, cores: int | None) -> None:
        self.stop()
        self._process, self._answers = _launch(cores), False
        atexit.register(self.stop)

    def prepared(self, frame: DataFrame, own: Sequence[DataFrame] = ()) -> tuple[DataFrame, Sequence[UnequalPart]]:
        """Return the frame with expressions that Sail computes as Spark does, and what in it was not compared with Spark or differs."""
        from caudal.engine.sail.check import prepared

        try:
            # Where Sail alone raises, a run fails or goes to Spark; no row is wrong.
            other, unequal = prepared(frame, own=own, falls_back=True)
        except Exception as error:  # a plan of a form that nobody thought of is not known to be equal
            if self.has_died(within_s=1.0):
                raise
            return frame, [UnequalPart("a plan that could not be read", f"{type(error).__name__}: {error}")]
        return with_known_schema(other, known_schema(frame)), [UnequalPart(each.what, each.reason) for each in unequal]

    def typed(self, frame: DataFrame) -> DataFrame:
        """Return the frame with the types of Spark where Sail itself has others; as it is where its plan cannot be read (`prepared` says so)."""
        from caudal.engine.sail.check import with_types_of_spark

        try:
            typed: DataFrame = with_types_of_spark(frame)
        except Exception:
            if self.has_died(within_s=1.0):
                raise
            return frame
        return typed

    def literal_path(self, path: str) -> str:
        """Return the path as the address of a file: in addresses there are no patterns."""
        return f"file://{quote(path)}"

    def cancel(self, spark: SparkSession, name: str) -> None:  # noqa: ARG002
        """End the server, which does not interrupt operations; the next use starts another."""
        if self._process is not None and self._answers:
            self._process.kill()

    def has_died(self, *, within_s: float = 0.0) -> bool:
        """Return whether the server's process has ended by itself, or does so within ``within_s``."""
        if self._process is None:
            return False
        until = time.monotonic() + within_s
        while self._process.poll() is None:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        return True

    def stop(self, *, wait_s: float = 60) -> None:
        """End the session and the server."""
        super().stop(wait_s=wait_s)
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is not None:
            process.terminate()
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            close_pipe(process)
            if process.stdout is not None:
                process.stdout.close()


def _launch(cores: int | None) -> subprocess.Popen[bytes]:
    """Start the server; it ends when this process does, since its standard input ends then."""
    if find_spec("pysail") is None:
        raise missing_library("pysail", extra="sail", for_="The engine 'sail'")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    environment |= {"RUST_LOG": environment.get("RUST_LOG", "error"), "SAIL_RUNTIME__STACK_SIZE": str(STACK_BYTES)}
    environment["SAIL_SPARK__SESSION_TIMEOUT_SECS"] = str(IDLE_S)
    if cores is not None:
        environment["SAIL_EXECUTION__DEFAULT_PARALLELISM"] = str(cores)
    return subprocess.Popen(
        [sys.executable, "-m", "caudal.engine.sail.serve"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip


def _port(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.strip().isdigit():
        raise EnvironmentProblem(
            f"Sail did not start: it ended with {process.wait()}.", fix="Its own message is above. Pass --engine spark."
        )
    return int(line)
