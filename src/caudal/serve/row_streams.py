"""Rows and answers of a stream, whatever bytes they come from and go to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from caudal.serve.inputs import Problem
from caudal.serve.predicting import Answer

CHUNK_ROWS = 1000  # that are predicted and answered at a time
MOST_ROW_BYTES = 256 * 1024
MOST_ROW_ERRORS = 5  # that an answer describes


@dataclass(frozen=True)
class RowErrors:
    """What is wrong with a row.

    Parameters
    ----------
    row : its number, from 0
    problems : the first ones
    more : number of further ones
    """

    row: int
    problems: Sequence[Problem] = field(default_factory=list)
    more: int = 0


class BodyBroken(Exception):
    """The rest of a body cannot be read; the message is a sentence."""


class RowReader(Protocol):
    """What makes rows of the parts of a body. A `Row` among them is one that could not be read, with its problems."""

    def feed(self, part: bytes) -> Iterator[list[object]]:
        """Yield the rows that are whole now, not too many at a time.

        Raises
        ------
        BodyBroken : the rest cannot be read
        StreamRefused : the rows are not those of the model
        """

    def finish(self) -> Iterator[list[object]]:
        """Yield the rows of the rest: the body has ended.

        Raises
        ------
        BodyBroken : the body ends too early
        """


class AnswerWriter(Protocol):
    """What makes bytes of answers."""

    def rows(self, results: Sequence[Answer | RowErrors]) -> bytes:
        """Return the answers to some rows."""

    def failure(self, document: dict[str, object]) -> bytes:
        """Return what ends an answer before its body has ended."""

    def end(self) -> bytes:
        """Return the end of all answers."""
