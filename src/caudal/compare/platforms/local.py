"""``local[N]``: Spark in one process of this machine, with N cores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, edge, in_bytes, node
from caudal.compare.platform import Platform, PlatformKind, by_form
from caudal.engine.settings import default_memory, usable_cores

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram


class Local(Platform):
    """Spark in one Java process."""

    kind = "local"

    def changes(self) -> Mapping[str, object]:
        """Return the engine Spark with so many cores."""
        return {"engine": "spark", "master": f"local[{self.cores}]", "cores": self.cores}

    def diagram(self, settings: Settings) -> Diagram:
        """Return Java, the Python workers and the store."""
        memory = in_bytes(settings.memory or default_memory())
        parts = [
            node("driver", "Spark, driver and executor in one", cores=self.cores, memory=memory),
            node("python", "Python workers", count=self.cores or 1),
        ]
        return architecture(parts, [edge("driver", "python", "rows, as Arrow")])


def _make(match: re.Match[str], text: str) -> Local:
    cores = usable_cores() if match[1] in (None, "*") else int(match[1])
    word = "core" if cores == 1 else "cores"
    return Local(text, f"Spark in one process, {cores} {word}", frozenset({"run", "stream"}), cores)


PLATFORM = PlatformKind(
    "local", "local[N]", "Spark in one process with N cores; [*] takes all", by_form(r"local(?:\[([1-9]\d*|\*)\])?", _make)
)
