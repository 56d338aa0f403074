"""Rows of a subject that a search has found in one place."""

from __future__ import annotations

from dataclasses import dataclass

from caudal.ledger.rows import LandedRow
from caudal.report.documents import PlaceDocument
from caudal.report.figures import plural


@dataclass
class Held:
    """Rows of the subject in one place."""

    kind: str  # raw | table | quarantine | stream
    name: str  # source or table
    file: str  # below the folder of the place
    rows: int
    current: bool  # the newest version (or the ledger) names it
    row: LandedRow | None = None  # of the ledger, for a raw file
    stays: str | None = None  # why its rows cannot be erased

    def told(self) -> PlaceDocument:
        """Return it as a line of the plan and of the proof."""
        return {"kind": self.kind, "name": self.name, "file": self.file, "rows": self.rows, "current": self.current}

    def where(self) -> str:
        """Return the place, and what it holds that stays, in words."""
        place = (
            f"raw file {self.file[:16]} of {self.name} ({self.row['path']})"
            if self.row is not None
            else f"the {self.file} of {self.name}"
        )
        return f"{place} holds {plural(self.rows, 'row')} of the subject: {(self.stays or '').rstrip('.')}"
