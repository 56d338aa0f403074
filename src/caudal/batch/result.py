"""The result of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from caudal.errors import CaudalError
from caudal.report.run_document import RunDocument


@dataclass(frozen=True)
class RunResult:
    """The result of a run: its document (what ``--json`` prints) and its error, if any.

    Parameters
    ----------
    to_train : the models that the run gave a reason to be trained by the next one, each with the reason
    before : the document of the run before, in the same call, that gave this one its reason
    """

    document: RunDocument
    error: CaudalError | None
    to_train: Mapping[str, str] = field(default_factory=dict)
    before: RunDocument | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the error; 0 without one."""
        return 0 if self.error is None else self.error.exit_code
