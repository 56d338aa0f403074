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

APART = b"\1"  # a separator for readers that need one, for files that have none
_NEWLINE, _RETURN = 10, 13
_LINE_ENDS = (_NEWLINE, _RETURN)
# Spark treats a line of only these characters as blank: all up to the space, not only white space.
_BLANKS = rb"[\x00-\x09\x0b-\x20]*"


class Lines:
    """What is known of a file's lines so far.

    Quotes are well-formed (RFC 4180) if each opening quote follows a separator or a line end, each closing quote is followed
    by one, and the last is closed. Counting shows which quotes open and which close, which is exact as long as they are well-formed.

    Attributes
    ----------
    well_formed : bool
    spans : bool, whether a line ends inside quotes
    nul, apart : bool, whether the file has a NUL, or an `APART`
    kinds : set of str, the line ends of the file
    blank_fields : bool, whether a line holds only separators that are blank themselves, such as tabs
    """

    def __init__(self, file: RawFile, quote: str | None, separator: str | None, bounded: bool) -> None:
        self.well_formed, self.spans, self.nul, self.apart, self.blank_fields = True, False, False, False, False
        self._file = file
        self._quote = quote.encode() if quote and quote.isascii() and len(quote) == 1 else None
        self._separator = separator.encode() if separator else b""
        self._judges = separator is not None
        self._most = bound("CAUDAL_MAX_LINE_MB") * MB if bounded else None
        self._held = b""
        self._before = _NEWLINE  # the byte before those held
        self._quotes = self._lines = self._offset = 0
        self._line_begins = self._quote_opens = 0
        self.kinds: set[str] = set()
        self._begun = False
        if quote and self._quote is None:
            self.well_formed = False  # cannot be found in bytes

    def take(self, block: bytes) -> None:
        """Process the next bytes."""
        if not self._begun:
            block, self._begun = block.removeprefix(codecs.BOM_UTF8), True
        block = self._held + block
        keep = 1 if block[-1:] in (b"\r", self._quote) else 0  # their meaning depends on the next byte
        self._held = block[len(block) - keep :]
        self._look(block[: len(block) - keep], self._held)

    def end(self) -> None:
        """Process the end of the file."""
        self._look(self._held, b"")
        self._held = b""
        if self._quotes % 2:
            self.well_formed = False

    def _look(self, block: bytes, following: bytes) -> None:
        if not block:
            return
        import numpy as np

        octets = np.frombuffer(block, dtype=np.uint8)
        newlines = np.flatnonzero(octets == _NEWLINE)
        self.nul, self.apart = self.nul or b"\0" in block, self.apart or APART in block
        returns = self._line_ends(block, octets, newlines, following)
        ends = newlines if returns is None else np.sort(np.concatenate([newlines, returns]))
        self._bound(ends, len(block))
        if self._separator and not self._separator.strip() and not self.blank_fields:
            self.blank_fields = re.search(rb"(?m)^" + _BLANKS + re.escape(self._separator) + _BLANKS + rb"$", block) is not None
        if self._quote and self._judges and (self._quotes or self._quote in block):
            self._look_at_quotes(octets, newlines, following)
        self._lines += len(newlines)
        self._offset += len(block)
        self._before = int(octets[-1])

    def _line_ends(
        self, block: bytes, octets: NDArray[np.uint8], newlines: NDArray[np.int64], following: bytes
    ) -> NDArray[np.int64] | None:
        """Record the kinds of line ends, and return the carriage returns that stand alone."""
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

    def _bound(self, ends: NDArray[np.int64], length: int) -> None:
        """Raise SourceProblem for a line too long to hold in memory."""
        if self._most is None:
            return
        import numpy as np

        begins = np.concatenate([[self._line_begins - self._offset], ends])
        lengths = np.append(ends, length) - begins
        if lengths.max() > self._most:
            raise line_too_long(self._file, self._lines + int(lengths.argmax()) + 1)
        if len(ends):
            self._line_begins = self._offset + int(ends[-1])

    def _look_at_quotes(self, octets: NDArray[np.uint8], newlines: NDArray[np.int64], following: bytes) -> None:
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
        if self._most is not None and self._quotes % 2 and self._offset + len(octets) - self._quote_opens > self._most:
            self.well_formed = False  # a value too long to hold in memory: its line is faulty
