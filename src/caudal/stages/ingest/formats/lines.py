"""The form of a text file's lines, found in one pass over its bytes: line ends, NUL, and whether quotes are well-formed."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from caudal.stages.ingest.limits import MB, bound, line_too_long
from caudal.stages.ingest.raw import RawFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNUSED_SEPARATOR = b"\1"  # a separator that no line contains, for Spark's reader, which needs one
_NEWLINE, _RETURN = 10, 13
_LINE_ENDS = (_NEWLINE, _RETURN)
# Spark treats a line of only these characters as blank: all up to the space, not only white space.
_BLANKS = rb"[\x00-\x09\x0b-\x20]*"


class Lines:
    """The form of a file's lines, as far as they have been read.

    Quotes are well-formed (RFC 4180) if each opening quote follows a separator or a line end, each closing quote is followed
    by one, and the last is closed. Counting shows which quotes open and which close, which is exact as long as they are well-formed.

    Attributes
    ----------
    well_formed : bool
    spans : bool, whether a line ends inside quotes
    has_nul, has_unused_separator : bool, whether the file has a NUL, or an `UNUSED_SEPARATOR`
    kinds : set of str, the line ends of the file
    blank_fields : bool, whether a line holds only separators that are blank themselves, such as tabs
    """

    def __init__(self, file: RawFile, quote: str | None, separator: str | None, bounded: bool) -> None:
        self.well_formed, self.spans, self.has_nul, self.has_unused_separator, self.blank_fields = True, False, False, False, False
        self._file = file
        self._quote = quote.encode() if quote and quote.isascii() and len(quote) == 1 else None
        self._separator = separator.encode() if separator else b""
        self._checks_quotes = separator is not None
        self._max_bytes = bound("CAUDAL_MAX_LINE_MB") * MB if bounded else None
        self._pending = b""
        self._before = _NEWLINE  # the byte before those held
        self._quotes = self._lines = self._offset = 0
        self._line_begins = self._quote_opens = 0
        self.kinds: set[str] = set()
        self._has_begun = False
        if quote and self._quote is None:
            self.well_formed = False  # cannot be found in bytes

    def take(self, block: bytes) -> None:
        """Process the next bytes."""
        if not self._has_begun:
            block, self._has_begun = block.removeprefix(codecs.BOM_UTF8), True
        block = self._pending + block
        keep = 1 if block[-1:] in (b"\r", self._quote) else 0  # their meaning depends on the next byte
        self._pending = block[len(block) - keep :]
        self._scan(block[: len(block) - keep], self._pending)

    def end(self) -> None:
        """Process the end of the file."""
        self._scan(self._pending, b"")
        self._pending = b""
        if self._quotes % 2:
            self.well_formed = False

    def _scan(self, block: bytes, following: bytes) -> None:
        import numpy as np

        if not block:
            return

        octets = np.frombuffer(block, dtype=np.uint8)
        newlines = np.flatnonzero(octets == _NEWLINE)
        self.has_nul, self.has_unused_separator = (
            self.has_nul or b"\0" in block,
            self.has_unused_separator or UNUSED_SEPARATOR in block,
        )
        returns = self._line_ends(block, octets, newlines, following)
        ends = newlines if returns is None else np.sort(np.concatenate([newlines, returns]))
        self._check_length(ends, len(block))
        if self._separator and not self._separator.strip() and not self.blank_fields:
            self.blank_fields = re.search(rb"(?m)^" + _BLANKS + re.escape(self._separator) + _BLANKS + rb"$", block) is not None
        if self._quote and self._checks_quotes and (self._quotes or self._quote in block):
            self._check_quotes(octets, newlines, following)
        self._lines += len(newlines)
        self._offset += len(block)
        self._before = int(octets[-1])

    def _line_ends(
        self, block: bytes, octets: NDArray[np.uint8], newlines: NDArray[np.int64], following: bytes
    ) -> NDArray[np.int64] | None:
        """Record the kinds of line ends, and return the carriage returns without a line feed."""
        import numpy as np

        if b"\r" not in block:
            if len(newlines):
                self.kinds.add("\n")
            return None
        places = np.flatnonzero(octets == _RETURN)
        after = np.append(octets, following[0] if following else 0)[places + 1]
        paired = int((after == _NEWLINE).sum())
        if paired:
            self.kinds.add("\r\n")
        if paired < len(newlines):
            self.kinds.add("\n")
        if paired < len(places):
            self.kinds.add("\r")
        alone: NDArray[np.int64] = places[after != _NEWLINE]
        return alone

    def _check_length(self, ends: NDArray[np.int64], length: int) -> None:
        """Raise SourceProblem for a line too long to hold in memory."""
        import numpy as np

        if self._max_bytes is None:
            return

        begins = np.concatenate([[self._line_begins - self._offset], ends])
        lengths = np.append(ends, length) - begins
        if lengths.max() > self._max_bytes:
            raise line_too_long(self._file, self._lines + int(lengths.argmax()) + 1)
        if len(ends):
            self._line_begins = self._offset + int(ends[-1])

    def _check_quotes(self, octets: NDArray[np.uint8], newlines: NDArray[np.int64], following: bytes) -> None:
        import numpy as np

        assert self._quote is not None
        mark = self._quote[0]
        at = np.flatnonzero(octets == mark)
        inside = (np.searchsorted(at, newlines) + self._quotes) % 2 == 1
        self.spans = self.spans or bool(inside.any())
        if self.well_formed and len(at):
            edges = [*_LINE_ENDS, mark]
            before = np.concatenate([[self._before], octets])[at]
            after = np.append(octets, following[0] if following else _NEWLINE)[at + 1]
            opens = (np.arange(len(at)) + self._quotes) % 2 == 0
            self.well_formed = bool(
                np.isin(before[opens], [*edges, *self._separator[-1:]]).all()
                and np.isin(after[~opens], [*edges, *self._separator[:1]]).all()
            )
        self._quotes += len(at)
        if len(at):
            opening = at[-1] if self._quotes % 2 else None
            self._quote_opens = self._offset + int(opening) if opening is not None else self._offset
        if self._max_bytes is not None and self._quotes % 2 and self._offset + len(octets) - self._quote_opens > self._max_bytes:
            self.well_formed = False  # a value too long to hold in memory: its line is faulty
