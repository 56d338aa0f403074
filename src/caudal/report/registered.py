"""Sections are found: each module of ``report/sections`` that has a ``SECTION``, and the entry points ``caudal.report_sections`` of other packages."""

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
from caudal.report.section import PagePart, ReportedRun, ReportSection, RunRecord, TerminalPart

if TYPE_CHECKING:
    from caudal.report.run_document import RunDocument

GROUP = "caudal.report_sections"
T = TypeVar("T")
_LOG = logging.getLogger(__name__)


@cache
def sections() -> tuple[ReportSection, ...]:
    """Return a section of each kind in the order of the page."""
    folder = caudal.report.sections
    own = [import_module(f"{folder.__name__}.{module.name}").SECTION for module in pkgutil.iter_modules(folder.__path__)]
    foreign = [Foreign(entry.load()()) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]
    taken = {section.name for section in own}
    for section in foreign:
        if section.name in taken:
            _LOG.warning("the report section '%s' of another package has the name of one of ours, and is left out", section.name)
    return tuple(sorted((*own, *(one for one in foreign if one.name not in taken)), key=lambda section: section.order))


def terminal_sections() -> list[ReportSection]:
    """Return the sections in the order of the terminal."""
    return sorted(sections(), key=lambda section: section.order if section.terminal_order is None else section.terminal_order)


class Foreign(ReportSection):
    """A section of another package: what goes wrong in it is logged, and shown in its place."""

    def __init__(self, section: ReportSection) -> None:
        self._section = section
        self.name, self.order, self.terminal_order = section.name, section.order, section.terminal_order  # type: ignore[misc]

    def document(self, record: RunRecord) -> object:
        """Return its part, or what went wrong."""
        return self._kept(lambda: self._section.document(record), lambda failed: {"failed": failed})

    def page(self, run: ReportedRun) -> PagePart | None:
        """Return its part of the page, or what went wrong."""
        return self._kept(lambda: self._section.page(run), self._failed_page)

    def terminal(self, document: RunDocument) -> Iterable[TerminalPart]:
        """Return its lines, or what went wrong."""
        return self._kept(lambda: tuple(self._section.terminal(document)), lambda failed: (TerminalPart(self.name, (failed,)),))

    def _failed_page(self, failed: str) -> PagePart:
        return PagePart(Markup(f'<section id="{escape(self.name)}"><h2>{escape(self.name)}</h2><p>{escape(failed)}</p></section>'))  # noqa: S704

    def _kept(self, work: Callable[[], T], otherwise: Callable[[str], T]) -> T:
        try:
            return work()
        except Exception as error:
            _LOG.warning("the report section '%s' failed", self.name, exc_info=error)
            return otherwise(f"The section '{self.name}' failed: {type(error).__name__}: {error}")
