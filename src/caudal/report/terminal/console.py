"""Consoles that print any character without an error, and the signs and colours of states."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from caudal.errors import PICTURES
from caudal.secret import redact

WIDEST = 120
NAME_WIDTH = 36

MARKS = {
    "succeeded": ("✓", "green"),
    "up to date": ("✓", "green"),
    "skipped": ("–", "bright_black"),
    "refused": ("✗", "yellow"),
    "failed": ("✗", "bold red"),
    "waiting": ("…", "yellow"),
    "running": ("▸", "cyan"),
    "abandoned": ("✗", "yellow"),
    "stopped": ("…", "yellow"),
}


class SafeConsole(Console):
    """A console that masks secrets and control characters, so that outside text (server messages, file names, values) moves no cursor and sets no title."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield segments without secrets, and with control characters other than line ends and tabs as their pictures (␛ for ESC)."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(redact(segment.text).translate(PICTURES), segment.style)


def console(stream: TextIO | None = None) -> Console:
    """Return a console on a stream (standard output), at most 120 columns wide.

    Rich's own highlighting is off: only caudal's colours have a meaning.
    """
    file = stream or sys.stdout
    if isinstance(file, io.TextIOWrapper) and not file.encoding.lower().startswith("utf"):
        file.reconfigure(errors="replace")  # a log file in Latin-1 shows '?' for a tick rather than stopping the run
    safe_console = SafeConsole(file=file, highlight=False, soft_wrap=False, markup=False, emoji=False)
    if safe_console.width > WIDEST:
        safe_console.width = WIDEST
    return safe_console


def mark(state: str) -> Text:
    """Return the sign of a state, coloured."""
    sign, style = MARKS.get("refused" if state.endswith("refused") else state, ("?", ""))
    return Text(sign, style=style)


def grid(*columns: str) -> Table:
    """Return a table without lines; each column is ``left``, ``right`` or ``fill`` (left, folded where room is short)."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(
            justify="right" if column == "right" else "left",
            no_wrap=column != "fill",
            max_width=NAME_WIDTH if column == "left" else None,
            overflow="fold" if column == "fill" else "ellipsis",
        )
    return table


def heading(text: str, note: str = "") -> Text:
    """Return the title of a section."""
    return Text.assemble((text, "bold"), (f"  {note}" if note else "", "bright_black"))


def inset(part: Table | Text, by: int = 2) -> Padding:
    """Return a part of a section, indented."""
    return Padding(part, (0, 0, 0, by), expand=False)
