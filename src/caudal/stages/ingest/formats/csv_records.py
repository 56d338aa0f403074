"""Read CSV by RFC 4180, record by record: a malformed record is reported with its line, and affects no other line.

Spark's reader splits well-formed files into the same records. It treats others (a quote that is not closed, text after a closing
quote, line ends of two kinds, NUL) in its own way, so those are read here.
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
BLANKS = "".join(map(chr, range(33)))  # the characters that Spark trims from a line before it checks whether the line is blank


@dataclass(frozen=True)
class Dialect:
    """The dialect of a file. ``spans``: whether a quoted value may span lines."""

    separator: str
    quote: str | None = '"'
    comment: str = ""
    spans: bool = True

    @cached_property
    def inside(self) -> re.Pattern[str]:
        """Return the pattern of the rest of a quoted value on a line, with its closing quote where it has one."""
        quote = re.escape(self.quote or "")
        return re.compile(rf"((?:[^{quote}]+|{quote}{quote})*)({quote}?)", re.DOTALL)


@dataclass(frozen=True)
class Record:
    """A record: its fields, None for an empty one without quotes; or the line, and its fault."""

    line: int
    fields: list[str | None]
    raw: str = ""
    fault: str | None = None


def split_records(lines: Iterable[str], dialect: Dialect) -> Iterator[Record]:
    """Yield the records of physical lines (with their line ends), without blank lines and comments.

    A value may span lines if its record is well-formed. Otherwise the line that opens the quote is faulty, and the
    lines after it are read separately.
    """
    ahead: deque[str] = deque()
    source = iter(lines)
    number = 0
    while True:
        line = ahead.popleft() if ahead else next(source, None)
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
        following_lines: list[str] = []
        if parser.open and dialect.spans:
            size, max_characters = len(line), bound("CAUDAL_MAX_LINE_MB") * MB
            while parser.open and size <= max_characters:
                next_line = ahead.popleft() if ahead else next(source, None)
                if next_line is None:
                    break
                following_lines.append(next_line)
                size += len(next_line)
                parser.take(_without_end(next_line), next_line)
        if parser.open or (following_lines and parser.fault):
            ahead.extendleft(reversed(following_lines))
            yield Record(number, [], text, UNCLOSED)
        elif parser.fault:
            yield Record(number, [], text, parser.fault)
        else:
            yield Record(number, parser.fields, "".join(chain([line], following_lines)))
            number += len(following_lines)


class _Parser:
    """The parser of a record, fed line by line."""

    def __init__(self, dialect: Dialect) -> None:
        self.fields: list[str | None] = []
        self.fault: str | None = None
        self.open = False
        self._dialect = dialect
        self._parts: list[str] = []

    def take(self, text: str, line: str) -> None:
        """Parse a line: ``text`` is ``line`` without its end, which belongs to a value that continues on the next line."""
        separator, quote = self._dialect.separator, self._dialect.quote
        assert quote is not None
        position = 0
        while True:
            if not self.open and not text.startswith(quote, position):
                end = text.find(separator, position)
                self.fields.append((text[position:] if end < 0 else text[position:end]) or None)
                if end < 0:
                    return
                position = end + len(separator)
                continue
            match = self._dialect.inside.match(text, position if self.open else position + len(quote))
            assert match is not None
            self._parts.append(match.group(1))
            if not match.group(2):
                self._parts.append(line[len(text) :])
                self.open = True
                return
            self.open = False
            self.fields.append("".join(self._parts).replace(quote + quote, quote))
            self._parts = []
            position = match.end()
            if position == len(text):
                return
            if not text.startswith(separator, position):
                self.fault = AFTER_QUOTE
                return
            position += len(separator)


def _without_end(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line[:-1] if line.endswith(("\n", "\r")) else line
