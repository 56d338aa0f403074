"""The engine ``spark``: Spark with a Java process of its own, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.mode import without_connect
from caudal.engine.protocol import SessionRequest, UnequalPart
from caudal.engine.session import has_died, session, start_description, stop
from caudal.engine.settings import is_local

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class ClassicEngine:
    """Spark in its own Java process; it can do everything, but Python workers of a cluster may lack caudal."""

    name = "spark"
    title = "Spark"
    lacks: Mapping[Capability, str] = {}

    def can(self, capability: Capability) -> bool:
        """Return True."""
        return capability not in self.lacks

    def start_description(self) -> str | None:
        """Return what the start of Java involves; None if a session runs."""
        return start_description()

    def start_ahead(self, cores: int | None) -> None:
        """Do nothing: how Java is started depends on the product."""

    def session(self, request: SessionRequest) -> SparkSession:
        """Return the session of this process."""
        return session(
            connectors=request.connectors, master=request.master, cores=request.cores, memory=request.memory, conf=request.conf,
            app=request.app, brief=request.brief,
        )  # fmt: skip

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Let PySpark's functions make expressions of Java within the block, as they do unless a Connect server is spoken to."""
        with without_connect():
            yield

    def prepared(self, frame: DataFrame, own: Sequence[DataFrame] = ()) -> tuple[DataFrame, tuple[UnequalPart, ...]]:  # noqa: ARG002
        """Return the frame: what computes it is Spark."""
        return frame, ()

    def typed(self, frame: DataFrame) -> DataFrame:
        """Return the frame: its types are Spark's."""
        return frame

    def literal_path(self, path: str) -> str:
        """Return the path: an option of the reader says that it is literal."""
        return path

    def parallelism(self, spark: SparkSession) -> int:
        """Return the number of cores of the master."""
        return spark.sparkContext.defaultParallelism

    def set_group(self, spark: SparkSession, name: str | None) -> None:
        """Put the jobs that this thread starts from now on into a group."""
        if name is not None:
            spark.sparkContext.setJobGroup(name, name, interruptOnCancel=True)

    def cancel(self, spark: SparkSession, name: str) -> None:
        """Cancel the jobs of a group."""
        with contextlib.suppress(Exception):  # Java may be dead, which has ended them too
            spark.sparkContext.cancelJobGroup(name)

    def has_died(self, *, within_s: float = 0.0) -> bool:
        """Return whether Java has ended by itself."""
        return has_died(within_s=within_s)

    def stop(self, *, wait_s: float = 60) -> None:
        """End the session and its Java process."""
        stop(wait_s=wait_s)


CLASSIC = ClassicEngine()


def runs_locally(spark: SparkSession) -> bool:
    """Return whether a classic session's workers are processes of this machine."""
    return is_local(str(spark.sparkContext.master))
