"""The protocol by which others are told of a run. Observers stand in ``caudal/observers``; other packages add theirs by an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from caudal.report.run_document import RunDocument
    from caudal.runtime.workspace import Workspace


class RunObserver:
    """Is told what happens in a run. Each method does nothing here; an observer overrides those that it needs.

    Examples
    --------
    >>> class WakeSignal(RunObserver):
    ...     def run_ended(self, ws, document):
    ...         print(document["product"], document["state"])
    >>> WakeSignal().run_began(None) is None
    True
    """

    order: ClassVar[int] = 100

    def run_began(self, ws: Workspace) -> None:
        """Hear that the ledger knows of a run that has begun."""

    def step_slow(self, ws: Workspace, step: str, expected_s: float, limit_s: float) -> None:
        """Hear that a step at work takes longer than ``limit_s``; ``expected_s`` is usual. Called in a thread of its own."""

    def run_ended(self, ws: Workspace, document: RunDocument) -> None:
        """Hear how a run ended, by its document.

        Parameters
        ----------
        document : what ``--json`` prints; its ``run_id`` is not that of ``ws`` where an earlier run is found to have died (``abandoned``)
        """
