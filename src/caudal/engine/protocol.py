"""What an engine is: it computes PySpark frames, and says what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from caudal.engine.capability import Capability
from caudal.errors import EngineLacks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class SessionRequest:
    """What a run asks of a session; an engine takes what it has a use for.

    Parameters
    ----------
    connectors : names in `caudal.engine.connectors.CONNECTORS`, Maven coordinates or paths of jars
    master : Spark master of a session in this process
    cores : tasks at once
    memory : memory of the engine, such as ``4g``
    conf : Spark settings
    app : name that a cluster shows
    brief : whether there is so little to do that optimizing compilation would not pay
    """

    connectors: frozenset[str] = frozenset()
    master: str | None = None
    cores: int | None = None
    memory: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    app: str = "caudal"
    brief: bool = False


@dataclass(frozen=True)
class UnequalPart:
    """A part of a frame that an engine is not known to compute as Spark does.

    Parameters
    ----------
    what : the part, as the object of a sentence, such as ``sum(double) in product.py:12``
    why : a clause on what is different or not known
    """

    what: str
    why: str


class QueryEngine(Protocol):
    """Computes PySpark frames."""

    @property
    def name(self) -> str:
        """Its name in the settings: ``spark``, ``sail`` or ``sc://host:port``."""

    @property
    def title(self) -> str:
        """Its name in sentences, such as ``Sail 0.7.2``."""

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """What it cannot do, each with the reason: the end of the sentence "Sail cannot do this: …"."""

    def can(self, capability: Capability) -> bool:
        """Return whether it has a capability."""

    def start_description(self) -> str | None:
        """Return a description of what starting its session involves; None if that takes no time."""

    def start_ahead(self, cores: int | None) -> None:
        """Begin to start a process that takes a while, and return at once; a failure is raised by ``session``. Do nothing where there is none."""

    def session(self, request: SessionRequest) -> SparkSession:
        """Return its session, started when it is first asked for."""

    def speaking(self) -> AbstractContextManager[None]:
        """Let PySpark's functions (``F.col`` …) make expressions of this engine within the block."""

    def prepared(self, frame: DataFrame, own: Sequence[DataFrame] = ()) -> tuple[DataFrame, Sequence[UnequalPart]]:
        """Return the frame to compute in the place of a frame, with its columns, and what in it may still differ from Spark; nothing where
        it is known not to.

        Parameters
        ----------
        own : frames that the first one is made of, and that caudal itself has made; what lies within them is not looked at
        """

    def typed(self, frame: DataFrame) -> DataFrame:
        """Return the frame of a user's function with the types that its columns have on Spark."""

    def literal_path(self, path: str) -> str:
        """Return a path in the notation in which the engine takes it literally."""

    def parallelism(self, spark: SparkSession) -> int:
        """Return how many tasks it runs at the same time."""

    def set_group(self, spark: SparkSession, name: str | None) -> None:
        """Give the queries that this thread starts from now on a name by which they can be cancelled; None gives none."""

    def cancel(self, spark: SparkSession, name: str) -> None:
        """Cancel the queries with a name; do nothing where the engine cannot."""

    def has_died(self, *, within_s: float = 0.0) -> bool:
        """Return whether its process has ended by itself, or does so within ``within_s``."""

    def stop(self, *, wait_s: float = 60) -> None:
        """End its session, and its process if caudal has started that; do nothing if there is none."""


def require_capability(engine: QueryEngine, capability: Capability, for_: str) -> None:
    """Raise unless an engine has a capability.

    Parameters
    ----------
    for_ : what needs it, as the subject of a sentence

    Raises
    ------
    EngineLacks : the engine lacks it; a run whose engine is ``auto`` does the step on Spark
    """
    if not engine.can(capability):
        raise lack(engine, capability, for_)


def unequal_rows(engine: QueryEngine, parts: Sequence[UnequalPart]) -> str:
    """Return the sentence that an engine is not known to compute parts of a frame as Spark does, of which it names the first."""
    more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    return f"{engine.title} is not known to compute {parts[0].what}{more} as Spark does."


def lack(engine: QueryEngine, capability: Capability, for_: str) -> EngineLacks:
    """Return the error of an engine that lacks what something needs."""
    return EngineLacks(
        f"{for_} needs {capability}, which {engine.title} lacks: {engine.lacks[capability]}.",
        fix="Pass --engine auto, which does on Spark what another engine cannot do, or --engine spark.",
        engine=engine.name,
        capability=capability.name.lower(),
    )
