"""A run's page: one self-contained HTML file, built from the ledger alone."""

from __future__ import annotations

import re
from pathlib import Path

from caudal.graph.shape import Graph
from caudal.ledger.ledger import Ledger
from caudal.report.markup import render_page
from caudal.report.page_file import write_page
from caudal.report.view import view

# File names may hold control characters, which HTML does not allow.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def write_run_page(ledger: Ledger, run_id: str, graph: Graph, path: Path) -> Path:
    """Write the page of a run and return its path; a reader sees the old page or the new one, never half of one.

    Raises
    ------
    NotThere : the ledger has no such run
    """
    write_page(path, _CONTROL.sub("�", run_page(ledger, run_id, graph)))
    return path


def run_page(ledger: Ledger, run_id: str, graph: Graph) -> str:
    """Return the page of a run as HTML."""
    return render_page("run.html", view(ledger, run_id, graph))
