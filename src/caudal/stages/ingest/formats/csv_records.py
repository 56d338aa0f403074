"""CSV as RFC 4180 has it, record by record: what is not well-formed is told with its line, and costs no other line.

Spark's reader takes well-formed files apart as this does. What it makes of others (a quote that is not closed, text after a closing
quote, line ends of two kinds, NUL) is its own, so those are read here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from caudal.stages.ingest.limits import MB, bound

UNCLOSED = "row has a quote that is not closed"
AFTER_QUOTE = "row has text after a closing quote"
BLANKS = "".join(map(chr, range(33)))  # what Spark trims from a line before it asks whether there is anything on it


@dataclass(frozen=True)
class Dialect:
    """How a file is written. ``spans``: whether a quoted value may run over lines."""

    separator: str
    quote: str | None = '"'
    comment: str = ""
    spans: bool = True

    @cached_property
    def inside(self) -> re.Pattern[str]:
        """The rest of a quoted value on a line, with its closing quote where it has one."""
        quote = re.escape(self.quote or "")
        return re.compile(rf"((?:[^{quote}]+|{quote}{quote})*)({quote}?)", re.DOTALL)


@dataclass(frozen=True)
class Record:
    """A record: its fields, None for an empty one without quotes; or the line, and why it is none."""

    line: int
    fields: list[str | None]
    raw: str = ""
    fault: str | None = None


def records(lines: Iterable[str], dialect: Dialect) -> Iterator[Record]:
    """Yield the records of physical lines (with their line ends); blank lines and comments are none.

    A value that runs over lines counts as such when its record is well-formed. Else the line that opens the quote is at fault, and the
    lines after it are read on their own.
    """
    ahead: deque[str] = deque()
    rest = iter(lines)
    number = 0
    while True:
        line = ahead.popleft() if ahead else next(rest, None)
        if line is None:
            return
        number += 1
        text = _without_end(line)
        blank = not text.strip(BLANKS)
        if (blank and dialect.separator not in text) or (dialect.comment and text.startswith(dialect.comment)):
            continue
        if dialect.quote is None or dialect.quote not in text:
            yield Record(number, [value or None for value in text.split(dialect.separator)], text)
            continue
        parser = _Parser(dialect)
        parser.take(text, line)
        taken: list[str] = []
        if parser.open and dialect.spans:
            size, most = len(line), bound("CAUDAL_MAX_LINE_MB") * MB
            while parser.open and size <= most:
                following = ahead.popleft() if ahead else next(rest, None)
                if following is None:
                    break
                taken.append(following)
                size += len(following)
                parser.take(_without_end(following), following)
        if parser.open or (taken and parser.fault):
            ahead.extendleft(reversed(taken))
            yield Record(number, [], text, UNCLOSED)
        elif parser.fault:
            yield Record(number, [], text, parser.fault)
        else:
            yield Record(number, parser.fields, "".join(chain([line], taken)))
            number += len(taken)


class _Parser:
    """The fields of a record, taken line by line."""

    def __init__(self, dialect: Dialect) -> None:
        self.fields: list[str | None] = []
        self.fault: str | None = None
        self.open = False
        self._dialect = dialect
        self._parts: list[str] = []

    def take(self, text: str, line: str) -> None:
        """Take a line: ``text`` is ``line`` without its end, which belongs to a value that goes on."""
        separator, quote = self._dialect.separator, self._dialect.quote
        assert quote is not None
        at = 0
        while True:
            if not self.open and not text.startswith(quote, at):
                end = text.find(separator, at)
                self.fields.append((text[at:] if end < 0 else text[at:end]) or None)
                if end < 0:
                    return
                at = end + len(separator)
                continue
            match = self._dialect.inside.match(text, at if self.open else at + len(quote))
            assert match is not None
            self._parts.append(match.group(1))
            if not match.group(2):
                self._parts.append(line[len(text) :])
                self.open = True
                return
            self.open = False
            self.fields.append("".join(self._parts).replace(quote + quote, quote))
            self._parts = []
            at = match.end()
            if at == len(text):
                return
            if not text.startswith(separator, at):
                self.fault = AFTER_QUOTE
                return
            at += len(separator)


def _without_end(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line[:-1] if line.endswith(("\n", "\r")) else line
