"""What the caller of a run asks for, beside what the product declares."""

from __future__ import annotations

from dataclasses import dataclass

from caudal.runtime.process import Process


@dataclass(frozen=True)
class RunRequest:
    """The options of one run.

    Parameters
    ----------
    days_again : days to be made again although nothing has changed (``caudal backfill``), as ``2023-01-05``
    tables_again : tables to be made again as a whole although nothing has changed
    trains : whether the run trains models, so that functions of tables may fit their parameters again
    process : the run's process, where the run is the only work in it; None where it shares the process with other work
    """

    days_again: frozenset[str] = frozenset()
    tables_again: frozenset[str] = frozenset()
    trains: bool = False
    process: Process | None = None

    @property
    def stop_requested(self) -> bool:
        """Whether the run shall stop before its next step."""
        return self.process is not None and self.process.stop_requested
