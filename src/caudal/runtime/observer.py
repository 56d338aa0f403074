"""The protocol of run observers. Observers stand in ``caudal/observers``; other packages add theirs by an entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_record import RunRecord

if TYPE_CHECKING:
    from caudal.ledger.rows import AlarmDocument
    from caudal.report.run_document import RunDocument


@dataclass(frozen=True)
class ObservedRun:
    """What an observer receives of a run: the run in the ledger, the product's tables and the settings.

    Parameters
    ----------
    note : shows the user a sentence about the run
    show_slow : shows the user a step that takes longer than usual, with its seconds so far and the usual ones
    observers : all observers of the run
    """

    record: RunRecord
    tables: ProductTables
    settings: Settings
    note: Callable[[str], None]
    show_slow: Callable[[str, float, float], None]
    observers: tuple[RunObserver, ...] = ()

    @property
    def product(self) -> Product:
        """The product that is run."""
        return self.tables.product


class RunObserver:
    """Is called at the beginning and end of a run and of each of its steps, and for slow steps. Each method does nothing here; an observer overrides those that it needs.

    Examples
    --------
    >>> class WakeSignal(RunObserver):
    ...     def run_ended(self, run, document):
    ...         print(document["product"], document["state"])
    >>> WakeSignal().run_began(None) is None
    True
    """

    order: ClassVar[int] = 100

    def run_began(self, run: ObservedRun) -> None:
        """React to the beginning of a run; its row is in the ledger."""

    def step_began(self, run: ObservedRun, step: str) -> None:
        """React to the beginning of a step, such as ``table:trips``."""

    def step_ended(self, run: ObservedRun, step: str) -> None:
        """React to the end of a step, whether it succeeded or failed; what it gave is in the ledger only later."""

    def step_slow(self, run: ObservedRun, step: str, expected_s: float, limit_s: float) -> None:
        """React to a running step that takes longer than ``limit_s``; ``expected_s`` is usual. Called in a separate thread."""

    def alarmed(self, run: ObservedRun, monitor: str, alarms: Sequence[AlarmDocument]) -> None:
        """React to alarms of a monitor that have begun while streams run; those of other runs are in the run's document."""

    def run_ended(self, run: ObservedRun, document: RunDocument) -> None:
        """React to the end of a run.

        Parameters
        ----------
        document : what ``--json`` prints; its ``run_id`` is not that of ``run`` where an earlier run is found to have died (``abandoned``)
        """
