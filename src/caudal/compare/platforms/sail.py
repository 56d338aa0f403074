"""``sail``: Sail computes runs, in the process of the run, without Java."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, edge, node
from caudal.compare.platform import SPARK_MEASURES, Platform, PlatformKind, by_form
from caudal.engine.settings import usable_cores

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram


class Sail(Platform):
    """Sail on this machine."""

    kind = "sail"
    engine = "sail"
    writes_event_log = False

    def diagram(self, settings: Settings) -> Diagram:  # noqa: ARG002
        """Return the run, the Sail server beside it, and the store."""
        parts = [node("driver", "caudal, Python"), node("server", "Sail, Spark Connect", cores=self.cores)]
        return architecture(parts, [edge("driver", "server", "plans")], "server")


PLATFORM = PlatformKind(
    "sail", "sail", "Sail on this machine, without Java; runs only",
    by_form("sail", lambda _, text: Sail(text, "Sail", frozenset({"run"}), usable_cores(), (SPARK_MEASURES,))),
)  # fmt: skip
