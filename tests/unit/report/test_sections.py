"""Sections of a run's report are found by their folder; those of other packages stand in document, page and terminal, and cannot harm a run."""

from __future__ import annotations

import io
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from rich.console import Console
from rich.text import Text

import caudal.report.sections
from caudal.graph.shape import Graph
from caudal.ledger.ledger import Ledger
from caudal.report import registered
from caudal.report.document import run_document
from caudal.report.page import run_page
from caudal.report.run_document import RunDocument
from caudal.report.section import RecordedRun, ReportedRun, ReportSection, TerminalPart
from caudal.report.terminal import print_summary

# Others are in the document of a run with nodes of other packages, audits and monitors in that of a run that has some.
OWN = [name for name in RunDocument.__annotations__ if name not in ("others", "audits", "monitors")]


class Rows(ReportSection):
    """Rows written by kind of step: a section as another package would write it."""

    name, order, terminal_order = "rows_by_kind", 45, 5
    template = '<section id="rows"><h2>Rows by kind</h2>{% for kind, rows in counts.items() %}<p>{{ kind }}: {{ rows }}</p>{% endfor %}{{ badge("succeeded", "<b>") }}</section>'

    def document(self, record: RecordedRun) -> dict[str, int]:
        counts: dict[str, int] = {}
        for step in record.steps:
            counts[step["kind"]] = counts.get(step["kind"], 0) + (step["rows_written"] or 0)
        return counts

    def content(self, run: ReportedRun) -> Mapping[str, object]:
        return {"counts": dict(run.document)["rows_by_kind"]}

    def links(self, content: Mapping[str, object]) -> list[tuple[str, str]]:
        return [("rows", "Rows by kind")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        yield TerminalPart("Rows by kind", [Text(str(dict(document)["rows_by_kind"]))])


class Broken(ReportSection):
    name, order = "broken", 46

    def document(self, record: RecordedRun) -> object:
        raise RuntimeError("no <document>")

    def content(self, run: ReportedRun) -> Mapping[str, object]:
        raise RuntimeError("no <page>")

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        raise RuntimeError("no lines")


class Usurper(Rows):
    name = "steps"


@pytest.fixture
def from_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    entries = []
    for section in (Rows, Broken, Usurper):
        entry = EntryPoint(section.__name__.lower(), f"{__name__}:{section.__name__}", registered.GROUP)
        entry.__dict__["load"] = lambda section=section: section
        entries.append(entry)
    monkeypatch.setattr(registered, "entry_points", lambda group: EntryPoints(entries).select(group=group))
    registered.sections.cache_clear()
    yield
    registered.sections.cache_clear()


def printed(document: RunDocument) -> str:
    out = io.StringIO()
    print_summary(document, Console(file=out, width=110, highlight=False, markup=False, emoji=False))
    return out.getvalue()


def test_every_file_of_the_folder_has_a_section_and_each_its_own_name_and_place() -> None:
    names = [module.name for module in pkgutil.iter_modules(caudal.report.sections.__path__)]
    found = [import_module(f"caudal.report.sections.{name}").SECTION for name in names]
    assert [section.name for section in found] == names
    assert len({section.order for section in found if section.template}) == len([section for section in found if section.template])


def test_parts_of_the_document_are_those_of_its_type(ledger: Ledger, scene: str) -> None:
    assert list(run_document(ledger, scene)) == OWN


def test_a_section_of_another_package_is_in_document_page_and_terminal(
    from_outside: None, ledger: Ledger, graph: Graph, run_of: dict[str, str]
) -> None:
    document = run_document(ledger, run_of["success"])
    counts = dict(document)["rows_by_kind"]
    assert isinstance(counts, dict)
    assert counts["table"] > 0
    assert list(document)[: len(OWN)] == OWN  # it comes behind ours
    json.dumps(document, allow_nan=False)
    html = run_page(ledger, run_of["success"], graph)
    assert f"<p>table: {counts['table']}</p>" in html
    assert re.search(r'<a href="#steps">Steps</a>\s*<a href="#rows">Rows by kind</a>\s*<a href="#time">', html)
    assert html.index('<section id="steps">') < html.index('<section id="rows">') < html.index('<section id="time">')
    assert "&lt;b&gt;</span>" in html
    lines = printed(document)
    assert lines.index("Rows by kind") < lines.index("Landed")


def test_a_section_that_fails_is_shown_as_failed_and_ours_cannot_be_replaced(
    from_outside: None, ledger: Ledger, graph: Graph, run_of: dict[str, str]
) -> None:
    document = run_document(ledger, run_of["success"])
    assert dict(document)["broken"] == {"failed": "The section 'broken' failed: RuntimeError: no <document>"}
    html = run_page(ledger, run_of["success"], graph)
    assert "<p>The section &#39;broken&#39; failed: RuntimeError: no &lt;page&gt;</p>" in html
    assert "The section 'broken' failed: RuntimeError: no lines" in printed(document)
    assert isinstance(document["steps"], list)
