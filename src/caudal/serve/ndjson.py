"""Rows and answers as lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic_core import from_json, to_json

from caudal.serve.inputs import Row, input_problem
from caudal.serve.predicting import Answer
from caudal.serve.row_streams import CHUNK_ROWS, MOST_ROW_BYTES, RowErrors

_ALLOWED = "one JSON object a line, in UTF-8"


class NdjsonRows:
    """Rows from lines: each line is one row, blank lines are none. A line that is no JSON, or longer than `MOST_ROW_BYTES`, is a row with a problem."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skips = False  # the rest of a line that is too long

    def feed(self, part: bytes) -> Iterator[list[object]]:
        """Yield the rows of the lines that are whole now."""
        head, newline, tail = part.partition(b"\n")
        self._add(head)
        if not newline:
            return
        *lines, rest = tail.split(b"\n")
        yield from _chunks(lines, self._first())
        self._add(rest)

    def finish(self) -> Iterator[list[object]]:
        """Yield the row of a last line without an end."""
        yield from _chunks([], self._first())

    def _add(self, text: bytes) -> None:
        if not self._skips:
            self._rest += text
            if len(self._rest) > MOST_ROW_BYTES:
                self._skips = True
                self._rest.clear()

    def _first(self) -> list[object]:
        """Return the row of the line that has ended, if it is one."""
        line, skips = bytes(self._rest), self._skips
        self._rest.clear()
        self._skips = False
        return [_too_long()] if skips else _row(line)


class NdjsonAnswers:
    """Answers as lines: each as that to a single row, and what is wrong with a row in its place."""

    def rows(self, results: Sequence[Answer | RowErrors]) -> bytes:
        """Return a line for each row."""
        return b"".join(to_json(_errors(result) if isinstance(result, RowErrors) else result) + b"\n" for result in results)

    def failure(self, document: dict[str, object]) -> bytes:
        """Return a line without a row, which says why it is the last."""
        return to_json(document) + b"\n"

    def end(self) -> bytes:
        """Return nothing: the last line has its end."""
        return b""


def _chunks(lines: Sequence[bytes], rows: list[object]) -> Iterator[list[object]]:
    """Yield rows, and those of lines after them, so many at a time."""
    for line in lines:
        rows += [_too_long()] if len(line) > MOST_ROW_BYTES else _row(line)
        if len(rows) >= CHUNK_ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def _row(line: bytes) -> list[object]:
    if not line or line.isspace():
        return []
    try:
        return [from_json(line, allow_inf_nan=True)]
    except ValueError:
        return [Row(problems=[input_problem(None, "The line is not JSON.", line.decode("utf-8", "replace"), _ALLOWED)])]


def _too_long() -> Row:
    return Row(problems=[input_problem(None, "The line is too long.", None, f"at most {MOST_ROW_BYTES} bytes")])


def _errors(errors: RowErrors) -> dict[str, object]:
    return {"errors": [{"row": errors.row, **problem} for problem in errors.problems], "more_errors": errors.more}
