"""The result of a run."""

from __future__ import annotations

from dataclasses import dataclass

from caudal.errors import CaudalError
from caudal.report.run_document import RunDocument


@dataclass(frozen=True)
class RunResult:
    """The result of a run: its document (what ``--json`` prints) and its error, if any."""

    document: RunDocument
    error: CaudalError | None

    @property
    def exit_code(self) -> int:
        """The exit code of the error; 0 without one."""
        return 0 if self.error is None else self.error.exit_code
