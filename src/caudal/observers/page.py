"""The page of a run, written when it has ended."""

from __future__ import annotations

from pathlib import Path

from caudal.graph.build import build
from caudal.report.page import write_run_page
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import RunObserver
from caudal.runtime.workspace import Workspace


class RunPage(RunObserver):
    """Writes the page where the run's document says that it lies; a run that died has none."""

    order = 0

    def run_ended(self, ws: Workspace, document: RunDocument) -> None:
        """Write the page."""
        if document["run_id"] == ws.run_id:
            assert document["page"] is not None, "a run that has ended has a page"
            page = Path(document["page"])
            page.parent.mkdir(parents=True, exist_ok=True)
            write_run_page(ws.ledger, ws.run_id, build(ws.product), page)


OBSERVER = RunPage()
