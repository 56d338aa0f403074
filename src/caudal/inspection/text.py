"""An inspection as plain text."""

from __future__ import annotations

import re
import textwrap
import time
from typing import Any, Iterator, Mapping

from caudal.inspection.shown import table_texts

_LABEL, _WIDTH, _MOST_ROWS = 30, 118, 40
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def plain_text(document: Mapping[str, Any]) -> str:
    """Return the document of an inspection as lines of text, each fact with how it was found out."""
    return "\n".join(_CONTROL.sub("?", line).rstrip() for line in _lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(document["at"]))
    yield f"Inspection of {document['host']}, {when}, in {document['took_s']:.1f} s"
    for section in document["sections"]:
        yield ""
        yield section["title"].upper()
        for fact in section["facts"]:
            yield from _fact(fact)


def _fact(fact: Mapping[str, Any]) -> Iterator[str]:
    if not fact["found"]:
        yield from _folded(fact["label"], f"not found: {fact['why_not']}")
    elif fact["text"] is not None:
        yield from _folded(fact["label"], f"{fact['text']}  ({fact['how']})")
    else:
        yield from _folded(fact["label"], f"({fact['how']})")
        columns, rows = table_texts(fact)
        if columns == [""]:
            yield from textwrap.wrap(
                ", ".join(row[0] for row in rows),
                _WIDTH,
                initial_indent="    ",
                subsequent_indent="    ",
                break_on_hyphens=False,
                break_long_words=False,
            )
            return
        shown = rows[:_MOST_ROWS]
        widths = [max(len(cell) for cell in cells) for cells in zip(columns, *shown)]
        for row in [columns, *shown]:
            yield "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        if len(rows) > len(shown):
            yield f"    and {len(rows) - len(shown)} more (all with --json)"


def _folded(label: str, text: str) -> Iterator[str]:
    indent = " " * (_LABEL + 4)
    first = f"  {label:<{_LABEL}}  "
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    ) or [first]
