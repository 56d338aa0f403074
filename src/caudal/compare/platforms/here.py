"""``here``: caudal's own process computes a stream, without Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, node
from caudal.compare.platform import SPARK_MEASURES, Platform, PlatformKind, by_form
from caudal.engine.settings import usable_cores

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram


class Here(Platform):
    """This process."""

    kind = "here"
    engine, executor = "auto", "here"
    writes_event_log = False

    def diagram(self, settings: Settings) -> Diagram:  # noqa: ARG002
        """Return one process and its store."""
        return architecture([node("driver", "caudal, Python", cores=self.cores)], [])


PLATFORM = PlatformKind(
    "here", "here", "caudal's own process; streams only",
    by_form("here", lambda _, text: Here(text, "caudal's own process", frozenset({"stream"}), usable_cores(), (SPARK_MEASURES,))),
)  # fmt: skip
