"""The observer that writes the page of a run at its end."""

from __future__ import annotations

from pathlib import Path

from caudal.graph.build import build
from caudal.report.page import write_run_page
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import ObservedRun, RunObserver


class RunPage(RunObserver):
    """Writes the page to the path in the run's document; a run whose process died has no page."""

    order = 0

    def run_ended(self, run: ObservedRun, document: RunDocument) -> None:
        """Write the page."""
        if document["run_id"] == run.record.run_id:
            assert document["page"] is not None, "a run that has ended has a page"
            page = Path(document["page"])
            page.parent.mkdir(parents=True, exist_ok=True)
            write_run_page(run.record.ledger, run.record.run_id, build(run.product), page)


OBSERVER = RunPage()
