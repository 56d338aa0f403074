"""The history of a dimension's members: versions of a table become consecutive half-open time spans.

It depends only on the versions and their order, so that a rebuild gives the same rows with the same keys.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

FIRST = dt.datetime(1000, 1, 1)  # the beginning of time; every client can show it
END = dt.datetime(9999, 12, 31)  # no known end
Key = str | int | float | dt.date | object


@dataclass(frozen=True)
class Span:
    """A member's state, from ``start`` until before ``until``.

    Parameters
    ----------
    content : a digest of the member's columns
    row : the version and row that it comes from; None if it is only in the warehouse
    """

    start: dt.datetime
    until: dt.datetime
    content: int
    row: tuple[int, int] | None = None


def replace_states(spans: Sequence[Span], observed: Sequence[Span]) -> list[Span]:
    """Return a member's history after a version that gives its states by event time.

    A version replaces the history from its earliest state on; the history before that stays.

    Examples
    --------
    >>> day = [dt.datetime(2024, 1, n) for n in range(1, 5)]
    >>> late = replace_states([Span(day[0], day[2], 1), Span(day[2], END, 3)], [Span(day[1], END, 2), Span(day[2], END, 3)])
    >>> [(span.start.day, span.content) for span in late]
    [(1, 1), (2, 2), (3, 3)]
    """
    states = sorted(observed, key=lambda span: span.start)
    before = [span for span in spans if span.start < states[0].start]
    return _merge_states([*before, *states])


def add_observation(spans: Sequence[Span], content: int | None, at: dt.datetime, row: tuple[int, int] | None = None) -> list[Span]:
    """Return a member's history after a version that shows its state (None: removed) at a time.

    Its first state is valid from the beginning of time: nothing else is known of the time before.
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
    """Return the surrogate key of a member's state: always the same for the same member and start, never negative.

    Examples
    --------
    >>> surrogate(4) == surrogate(4), surrogate(4) == surrogate("4"), surrogate(4) == surrogate(4, FIRST)
    (True, False, False)
    """
    text = f"{type(key).__name__} {key}" + ("" if start is None else f" {start.isoformat()}")
    return number_from_bytes(text.encode())


def number_from_bytes(content: bytes) -> int:
    """Return a 63-bit number derived from some bytes."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1


def _endless(span: Span) -> bool:
    return span.until.replace(tzinfo=None) == END


def _merge_states(states: Sequence[Span]) -> list[Span]:
    """Return ordered states as consecutive spans; a state that repeats the one before it is merged with it."""
    merged: list[Span] = []
    for state in states:
        if not merged or merged[-1].content != state.content:
            merged.append(state)
    ends = [*(span.start for span in merged[1:]), END.replace(tzinfo=merged[0].start.tzinfo)] if merged else []
    return [replace(span, until=until) for span, until in zip(merged, ends, strict=True)]
