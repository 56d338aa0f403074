"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass

from caudal.errors import CaudalError
from caudal.report.run_document import RunDocument


@dataclass(frozen=True)
class Result:
    """How a run ended: its document (what ``--json`` prints) and its error, if any."""

    document: RunDocument
    error: CaudalError | None

    @property
    def exit_code(self) -> int:
        """0, or that of the error."""
        return 0 if self.error is None else self.error.exit_code
