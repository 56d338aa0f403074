"""``colab`` and ``colab:PLATFORM``: a machine of Google Colab, where a person runs a notebook that caudal writes (docs/compare.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from caudal.compare.platform import Platform, PlatformKind, by_form
from caudal.compare.platforms import here, local, sail

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

AWAITS = "Run colab.ipynb, which lies beside the comparison.json, in Google Colab; then: caudal compare comparison.json --colab RESULTS.zip"
_ALL_CORES = "Spark in one process, all cores"


@dataclass(frozen=True)
class Colab(Platform):
    """Google's machine, on which one of the platforms of one machine does the work.

    Parameters
    ----------
    inner : that platform, as it is written: ``local[N]``, ``sail``, ``here``
    """

    inner: str = "local"
    engine: str = "spark"
    executor: str = "spark"
    writes_event_log: bool = True

    kind = "colab"
    awaits = AWAITS

    def diagram(self, settings: Settings) -> Diagram:  # noqa: ARG002
        """Return nothing yet: what is there shows once the work is done."""
        return {"nodes": [], "edges": []}

    def there(self) -> Platform:
        """Return the platform that does the work, on the machine on which this is called."""
        inner = _inner(self.inner)
        assert inner is not None
        return replace(inner, text=self.text, title=f"Google Colab, {inner.title}")


def document_kind(inner: str) -> str:
    """Return the kind of a platform on Colab in documents: times on one more core are one curve only where the same engine computes.

    Examples
    --------
    >>> document_kind("local"), document_kind("sail")
    ('colab', 'colab:sail')
    """
    return "colab" if inner == local.PLATFORM.name else f"colab:{inner}"


def _inner(text: str) -> Platform | None:
    return next((platform for kind in (local, sail, here) if (platform := kind.PLATFORM.read(text)) is not None), None)


def _make(match: re.Match[str], text: str) -> Colab | None:
    name = match[1] or "local"
    inner = _inner(name)
    if inner is None:
        return None
    counted = re.search(r"\[\d+\]", name) is not None
    what = inner.title if counted or not isinstance(inner, local.Local) else _ALL_CORES
    return Colab(
        text, f"Google Colab, {what}", inner.workloads, inner.cores if counted else None, inner.lacks, inner=name, engine=inner.engine,
        executor=inner.executor, writes_event_log=inner.writes_event_log,
    )  # fmt: skip


PLATFORM = PlatformKind(
    "colab", "colab or colab:PLATFORM", "a machine of Google Colab, by a notebook that a person runs there: Spark with all cores, or sail, local[N], here",
    by_form(r"colab(?::(\S+))?", _make),
)  # fmt: skip
