"""``spark://host:port``, ``yarn`` and ``k8s://…``: a cluster that somebody else runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from caudal.compare.diagram import architecture, edge, node
from caudal.compare.platform import Platform, PlatformKind, RunningPlatform, by_form
from caudal.errors import EnvironmentProblem

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

_PATIENCE_S = 5.0


class Master(Platform):
    """A cluster at an address. Its workers read and write the lake, which must be a place that they reach."""

    kind = "master"
    is_cluster = True

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:  # noqa: ARG002
        """Yield the cluster, if its master answers."""
        if self.text.startswith("spark://"):
            check_answers(self.text, "No Spark master answers")
        yield RunningPlatform(self, self.changes())

    def changes(self) -> Mapping[str, object]:
        """Return the engine Spark with this master."""
        return {"engine": "spark", "master": self.text}

    def diagram(self, settings: Settings) -> Diagram:  # noqa: ARG002
        """Return driver and master; executors are added as they are found."""
        return architecture([node("driver", "driver"), node("master", self.text)], [edge("driver", "master", "asks for executors")])


def check_answers(address: str, what: str) -> None:
    """Raise where nothing listens at the first host of an address.

    Raises
    ------
    EnvironmentProblem : nothing does
    """
    first = address.split(",")[0]
    parts = urlsplit(first.partition(";")[0])
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 7077), timeout=_PATIENCE_S):
            return
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(
            f"{what} at {parts.hostname}:{parts.port or 7077}: {error}.", fix="Start it, or correct the address.", address=first
        ) from None


PLATFORM = PlatformKind(
    "master", "spark://HOST:PORT, yarn or k8s://…", "a cluster that runs already",
    by_form(
        r"(spark://[^/\s]+|yarn|k8s://\S+)", lambda match, text: Master(text, f"the cluster {match[1]}", frozenset({"run", "stream"}))
    ),
)  # fmt: skip
