"""A run's page: one HTML file that needs nothing else, made from the ledger alone."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.graph.shape import Graph
from caudal.ledger.ledger import Ledger
from caudal.report.finalize import without_secrets
from caudal.report.page_file import write_page
from caudal.report.view import view

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent / "templates"
# Neither HTML nor a reader knows what to do with control characters; names of files may hold them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def write_run_page(ledger: Ledger, run_id: str, graph: Graph, path: Path) -> Path:
    """Write the page of a run and return where it lies; a reader finds the old page or the new one, never half of one.

    Raises
    ------
    NotThere : the ledger knows no such run
    """
    write_page(path, _CONTROL.sub("�", run_page(ledger, run_id, graph)))
    return path


def run_page(ledger: Ledger, run_id: str, graph: Graph) -> str:
    """Return the page of a run as HTML."""
    return _template().render(view(ledger, run_id, graph))


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=without_secrets,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("run.html")
