"""The faults that ``caudal verify`` finds, and the home that it checks."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.ledger.ledger import Ledger
from caudal.ledger.records import manifests
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.report.documents import FaultDocument, FindingsDocument


@dataclass(frozen=True)
class HomeFault:
    """A file or record that differs from what caudal wrote.

    Parameters
    ----------
    kind : ledger | raw | log | table | kept | model | mlflow
    name : source, table or model
    what, mend : sentences: what is wrong, how to repair it
    """

    kind: str
    product: str | None
    name: str
    path: str
    what: str
    mend: str

    def document(self) -> FaultDocument:
        """Return it as a JSON-ready document."""
        return {
            "kind": self.kind, "product": self.product, "name": self.name, "path": self.path, "what": self.what, "mend": self.mend,
        }  # fmt: skip


@dataclass
class Findings:
    """Counts of what was checked, and the faults."""

    faults: list[HomeFault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    def document(self) -> FindingsDocument:
        """Return it as a JSON-ready document."""
        return {
            "ok": not self.faults,
            "faults": [fault.document() for fault in self.faults],
            "notes": self.notes,
            "checked": dict(self.checked),
            "bytes": self.bytes,
        }


@dataclass(frozen=True)
class Verification:
    """The home under verification, with its ledger and the findings so far."""

    home: Home
    ledger: Ledger | None  # None where the ledger cannot be opened
    findings: Findings
    deep: bool

    def folder(self, product: str) -> str:
        """Return a product's source folder, quoted for a command line: the one that it ran from last."""
        rows = self.ledger.find(manifests, product=product) if self.ledger is not None else []
        return shlex.quote(str(Path(rows[-1]["folder"].rpartition("#")[0]).parent)) if rows else "FOLDER"

    def home_options(self) -> str:
        """Return the command line options that name this home and lake."""
        lake = f" --lake {shlex.quote(str(self.home.elsewhere))}" if self.home.elsewhere else ""
        return f"--home {shlex.quote(str(self.home.path))}{lake}"
