"""The history of a dimension's members: from versions of a table to stretches of time, half open, that follow one another.

It follows from the versions alone, in their order, so that a rebuild gives the same rows with the same keys.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

FIRST = dt.datetime(1000, 1, 1)  # since ever; a time that every client can show
END = dt.datetime(9999, 12, 31)  # until further notice
Key = str | int | float | dt.date | object


@dataclass(frozen=True)
class Span:
    """A member's state, from ``start`` on, until before ``until``.

    Parameters
    ----------
    content : what its columns hold, hashed
    row : which row of which version told it; None where only the warehouse has it
    """

    start: dt.datetime
    until: dt.datetime
    content: int
    row: tuple[int, int] | None = None


def told(spans: Sequence[Span], seen: Sequence[Span]) -> list[Span]:
    """Return a member's history after a version told its states, by event time.

    A version tells all of a member from its earliest state on; what was known of the time before that stays.

    Examples
    --------
    >>> day = [dt.datetime(2024, 1, n) for n in range(1, 5)]
    >>> late = told([Span(day[0], day[2], 1), Span(day[2], END, 3)], [Span(day[1], END, 2), Span(day[2], END, 3)])
    >>> [(one.start.day, one.content) for one in late]
    [(1, 1), (2, 2), (3, 3)]
    """
    states = sorted(seen, key=lambda one: one.start)
    before = [span for span in spans if span.start < states[0].start]
    return _joined([*before, *states])


def observed(spans: Sequence[Span], content: int | None, at: dt.datetime, row: tuple[int, int] | None = None) -> list[Span]:
    """Return a member's history after a version showed its state (None: it is gone) at a time.

    Its first state holds since ever: nothing else is known of the time before.
    """
    current = spans[-1] if spans and _endless(spans[-1]) else None
    if current is not None and current.content == content:
        return list(spans)
    closed = [*spans[:-1], replace(current, until=at)] if current is not None else list(spans)
    if content is None:
        return closed
    start = at if spans else FIRST.replace(tzinfo=at.tzinfo)
    return [*closed, Span(start, END.replace(tzinfo=at.tzinfo), content, row)]


def surrogate(key: object, start: dt.datetime | None = None) -> int:
    """Return the surrogate key of a member's state: the same whenever and wherever it is made, never negative.

    Examples
    --------
    >>> surrogate(4) == surrogate(4), surrogate(4) == surrogate("4"), surrogate(4) == surrogate(4, FIRST)
    (True, False, False)
    """
    said = f"{type(key).__name__} {key}" + ("" if start is None else f" {start.isoformat()}")
    return number(said.encode())


def number(of: bytes) -> int:
    """Return a whole number of 63 bits that stands for some bytes."""
    return int.from_bytes(hashlib.blake2b(of, digest_size=8).digest(), "big") >> 1


def _endless(span: Span) -> bool:
    return span.until.replace(tzinfo=None) == END


def _joined(states: Sequence[Span]) -> list[Span]:
    """Return states in order as stretches that follow one another; a state that repeats the one before it is part of that."""
    kept: list[Span] = []
    for state in states:
        if not kept or kept[-1].content != state.content:
            kept.append(state)
    ends = [*(one.start for one in kept[1:]), END.replace(tzinfo=kept[0].start.tzinfo)] if kept else []
    return [replace(one, until=until) for one, until in zip(kept, ends, strict=True)]
