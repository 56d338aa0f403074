"""Where a search has found rows of a subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.ledger.rows import LandedRow
from caudal.report.figures import plural

if TYPE_CHECKING:
    from caudal.report.documents import PlaceDocument


@dataclass
class Occurrence:
    """Rows of the subject in one place."""

    kind: str  # raw | table | quarantine | stream | requests | view
    name: str  # source or table
    file: str  # relative to the folder of the place
    rows: int
    current: bool  # the newest version (or the ledger) names the file
    row: LandedRow | None = None  # the ledger's row of a raw file
    stays: str | None = None  # why its rows cannot be erased

    def as_dict(self) -> PlaceDocument:
        """Return the line of the plan and of the proof."""
        return {"kind": self.kind, "name": self.name, "file": self.file, "rows": self.rows, "current": self.current}

    def where(self) -> str:
        """Return a sentence about the place and its rows that stay."""
        place = (
            f"raw file {self.file[:16]} of {self.name} ({self.row['path']})"
            if self.row is not None
            else f"the {self.file} of {self.name}"
        )
        return f"{place} holds {plural(self.rows, 'row')} of the subject: {(self.stays or '').rstrip('.')}"
