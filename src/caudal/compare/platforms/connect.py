"""``sc://host:port``: a Spark Connect server, those of Databricks and EMR Serverless included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, edge, node
from caudal.compare.platform import Platform, PlatformKind, RunningPlatform, by_form
from caudal.compare.platforms.master import check_answers

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

_NO_LOG = "Spark's measures of jobs and stages: the event log is the server's (caudal measures reads it there)"


class Connect(Platform):
    """A server of Spark Connect."""

    kind = "connect"
    writes_event_log = False

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:  # noqa: ARG002
        """Yield the server, if it answers."""
        check_answers(self.text, "No Spark Connect server answers")
        yield RunningPlatform(self, self.changes())

    def changes(self) -> Mapping[str, object]:
        """Return the address as the engine."""
        return {"engine": self.text, "master": None, "cores": None}

    def diagram(self, settings: Settings) -> Diagram:  # noqa: ARG002
        """Return the run, the server and the store."""
        server = self.title.removeprefix("the ")
        return architecture(
            [node("driver", "caudal, Python"), node("server", server)], [edge("driver", "server", "plans")], "server"
        )


PLATFORM = PlatformKind(
    "connect", "sc://HOST:PORT", "a Spark Connect server; runs only",
    by_form(
        r"(sc://[^/;\s]+)\S*",
        lambda match, text: Connect(text, f"the Spark Connect server {match[1]}", frozenset({"run"}), None, (_NO_LOG,)),
    ),
)  # fmt: skip
