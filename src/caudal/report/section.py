"""The base class of the sections of a run's report: each adds its part to the document, the page and the terminal's summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from markupsafe import Markup

from caudal.report.markup import render_fragment

if TYPE_CHECKING:
    from rich.console import RenderableType

    from caudal.graph.shape import Graph
    from caudal.ledger.ledger import Ledger
    from caudal.ledger.rows import RunRow, StepRow
    from caudal.report.run_document import RunDocument


@dataclass(frozen=True)
class RecordedRun:
    """A run as the ledger recorded it; ``steps`` in the order in which they ended."""

    ledger: Ledger
    run: RunRow
    steps: Sequence[StepRow]

    def step(self, kind: str, name: str) -> StepRow | None:
        """Return the run's step of a kind and name; None where it had none."""
        return next((row for row in self.steps if row["kind"] == kind and row["name"] == name), None)


@dataclass(frozen=True)
class ReportedRun(RecordedRun):
    """A run with its document and its product's graph, from which a page is built."""

    document: RunDocument
    graph: Graph


@dataclass(frozen=True)
class PagePart:
    """A section's HTML and the links to it at the head of the page, as anchor and title."""

    html: Markup
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TerminalPart:
    """A section's lines in the terminal below a title."""

    title: str
    lines: Sequence[RenderableType]
    note: str = ""


class ReportSection:
    """One section of the report. Every method here returns nothing; a section overrides those for which it has content.

    Attributes
    ----------
    name : the key of its part in the document
    order : its position on the page, ascending; those of caudal are multiples of ten
    terminal_order : its position in the terminal, where that differs
    template : Jinja source, rendered with what ``content`` returns; ``badge(state, words)`` draws a state

    Examples
    --------
    >>> class Retries(ReportSection):
    ...     name, order, template = "retries", 45, '<section id="retries"><h2>Retries</h2><p>{{ count }}</p></section>'
    ...     def document(self, record):
    ...         return sum(len((step["detail"] or {}).get("attempts", ())) for step in record.steps)
    ...     def content(self, run):
    ...         return {"count": run.document["retries"]} if run.document["retries"] else None
    >>> Retries().terminal({})
    ()
    """

    name: ClassVar[str]
    order: ClassVar[int]
    terminal_order: ClassVar[int | None] = None
    template: ClassVar[str] = ""

    def document(self, record: RecordedRun) -> object:
        """Return its part of the run's document, ready for JSON; None where it has none."""
        return None

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return the values for its template; None where it has nothing to show."""
        return None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the links to it at the head of the page, as anchor and title."""
        return ()

    def page(self, run: ReportedRun) -> PagePart | None:
        """Return its part of the page; None where it has nothing to show."""
        content = self.content(run)
        return None if content is None else PagePart(render_fragment(self.template, content), tuple(self.links(content)))

    def terminal(self, document: RunDocument) -> Iterable[TerminalPart]:
        """Return its lines in the terminal."""
        return ()
