"""The registered sections: ``SECTION`` of each module in ``report/sections``, and the entry points ``caudal.report_sections`` of other packages."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeVar

from markupsafe import Markup, escape

import caudal.report.sections
from caudal.report.section import PagePart, RecordedRun, ReportedRun, ReportSection, TerminalPart

if TYPE_CHECKING:
    from caudal.report.run_document import RunDocument

GROUP = "caudal.report_sections"
T = TypeVar("T")
_LOG = logging.getLogger(__name__)


@cache
def sections() -> tuple[ReportSection, ...]:
    """Return all sections in the order of the page."""
    folder = caudal.report.sections
    built_in = [import_module(f"{folder.__name__}.{module.name}").SECTION for module in pkgutil.iter_modules(folder.__path__)]
    foreign = [ForeignSection(entry.load()()) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]
    built_in_names = {section.name for section in built_in}
    for section in foreign:
        if section.name in built_in_names:
            _LOG.warning("the report section '%s' of another package is left out: caudal has a section of that name", section.name)
    return tuple(
        sorted(
            (*built_in, *(section for section in foreign if section.name not in built_in_names)), key=lambda section: section.order
        )
    )


def terminal_sections() -> list[ReportSection]:
    """Return the sections in the order of the terminal."""
    return sorted(sections(), key=lambda section: section.order if section.terminal_order is None else section.terminal_order)


class ForeignSection(ReportSection):
    """A section of another package: an error in it is logged, and shown in the section's place."""

    def __init__(self, section: ReportSection) -> None:
        self._section = section
        self.name, self.order, self.terminal_order = section.name, section.order, section.terminal_order  # type: ignore[misc]

    def document(self, record: RecordedRun) -> object:
        """Return its part of the document, or the error."""
        return self._call_or_report(lambda: self._section.document(record), lambda sentence: {"failed": sentence})

    def page(self, run: ReportedRun) -> PagePart | None:
        """Return its part of the page, or the error."""
        return self._call_or_report(lambda: self._section.page(run), self._error_page)

    def terminal(self, document: RunDocument) -> Iterable[TerminalPart]:
        """Return its lines in the terminal, or the error."""
        return self._call_or_report(
            lambda: tuple(self._section.terminal(document)), lambda sentence: (TerminalPart(self.name, (sentence,)),)
        )

    def _error_page(self, sentence: str) -> PagePart:
        name = escape(self.name)
        return PagePart(Markup(f'<section id="{name}"><h2>{name}</h2><p>{escape(sentence)}</p></section>'))  # noqa: S704

    def _call_or_report(self, call: Callable[[], T], on_error: Callable[[str], T]) -> T:
        try:
            return call()
        except Exception as error:
            _LOG.warning("the report section '%s' failed", self.name, exc_info=error)
            return on_error(f"The section '{self.name}' failed: {type(error).__name__}: {error}")
