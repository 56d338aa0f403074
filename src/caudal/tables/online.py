"""Online views: what a server finds of a model's features by key and time, and the names of keys; the same wherever they lie (``view_places``).

A view never changes: a new one is written beside it, and takes its place in one step.
"""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, TypedDict

from caudal.declarations.online import CalendarPart
from caudal.errors import EnvironmentProblem
from caudal.json_value import Scalar

KEPT_ROWS, KEPT_ROWS_OF_KEY = 50_000, 1_000  # in memory, of a view and of one of its keys
FORMAT = 1
Row = tuple[Any, ...]
ViewName = tuple[str, str]
"""A product and a model."""


class ViewsUnavailable(EnvironmentProblem):
    """The place of online views does not answer, or not what it was asked for."""


class ViewGone(ViewsUnavailable):
    """A view was replaced, and is no longer there."""


class NotKept(Exception):
    """The rows of a key are not in memory, and to ask for them would wait for another machine."""


UNREADABLE = (OSError, ValueError, sqlite3.Error, KeyError, TypeError, ViewsUnavailable)
"""What reading a view raises that is damaged, of another version, or in a place that does not answer."""


class ViewGroup(TypedDict):
    """Features that are found by the same key.

    Parameters
    ----------
    keys : names of the fields that make up the key
    time : name of the field with the time
    columns : names of the features
    valid_us : how long values hold, 0 for their own time only; None until the next
    exact : whether the features are what the batch features are at that time, and not the newest published ones
    """

    keys: list[str]
    time: str
    columns: list[str]
    valid_us: int | None
    exact: bool


class Described(TypedDict):
    """What an online view holds.

    Parameters
    ----------
    times : whether each time is local wall time, and not an instant, by its name
    key_types : type of each key: string, long or boolean
    calendar : the time, part and zone of each calendar feature
    groups : features that are found by key
    named : inputs with names for their values
    fields : what is declared of keys and times, such as their labels
    tz : zone of the product
    since_us, until_us : the first time for which the features of ``groups`` are known, and that of the newest published row; None for nothing
    built_at : seconds since 1970, UTC
    versions : versions of the tables that it was made of
    checked : number of published rows with which the view was compared
    """

    format: int
    times: dict[str, bool]
    key_types: dict[str, str]
    calendar: dict[str, list[str | None]]
    groups: list[ViewGroup]
    named: list[str]
    fields: dict[str, dict[str, Any]]
    tz: str
    since_us: int | None
    until_us: int | None
    built_at: float
    versions: dict[str, int]
    checked: int


class ViewRows(Protocol):
    """A view's rows as they lie in a place; several threads may ask.

    Parameters
    ----------
    described : what the view holds
    state : by what the view is told from the one before it
    waits : whether asking for rows may wait for another machine
    """

    described: Described
    state: object
    waits: bool

    def rows_of_key(self, number: int, keys: Sequence[str], most: int) -> list[Row]:
        """Return the first rows of a key of a group in order of time, each a time and values."""

    def row_at(self, number: int, keys: Sequence[str], at_us: int) -> Row | None:
        """Return the newest row of a key at or before a time: its time and values."""

    def newest_key(self, number: int) -> Row | None:
        """Return the key, as text, of the newest row of a group; None for a group without rows."""

    def names(self) -> list[tuple[str, str, str]]:
        """Return input, value and name of each name, in their order."""

    def key_counts(self, number: int, place: int) -> Iterable[tuple[str, int]]:
        """Return the texts of one of a group's keys, each with a number of rows; a text may come several times."""


class ViewDraft(Protocol):
    """An online view that is being written; nobody sees it before it is published."""

    def add_group(self, number: int, group: ViewGroup, rows: Iterable[Row]) -> None:
        """Add the rows of a group: their keys as text, the time in microseconds since 1970, and the values."""

    def count(self, number: int) -> int:
        """Return the number of rows of a group."""

    def begin_at(self, number: int, group: ViewGroup, since_us: int) -> None:
        """Move what held when the view begins to its beginning, and remove what was before."""

    def add_names(self, input_: str, names: Sequence[tuple[str, str]]) -> None:
        """Add the names of an input's values, in their order."""

    def finish(self, described: Described) -> OnlineView:
        """Write what the view holds, and return it as it can be read in its place; it is still a draft."""

    def publish(self) -> None:
        """Put the view in the place of the one before."""

    def discard(self) -> None:
        """Remove the draft, if it was not published."""


class ViewPlace(Protocol):
    """Where online views lie.

    Parameters
    ----------
    shown : the place, without secrets
    """

    shown: str

    def states(self, names: Collection[ViewName]) -> dict[ViewName, object]:
        """Return by what each view is told from the one before it; a view that is not there is left out.

        Raises
        ------
        ViewsUnavailable : the place does not answer
        """

    def open(self, name: ViewName) -> ViewRows:
        """Return a view.

        Raises
        ------
        OSError, sqlite3.Error, ValueError, ViewsUnavailable : there is none, it is not of this format, or the place does not answer
        """

    def draft(self, name: ViewName) -> ViewDraft:
        """Return a new view that is to be written, after removing what is left of drafts of runs that were killed."""

    def models(self, product: str) -> list[str]:
        """Return the models of a product that have a view."""

    def remove(self, name: ViewName) -> None:
        """Remove a view."""

    def sweep(self, product: str, model: str | None = None, *, replaced: bool = False) -> None:
        """Remove what is left of drafts, and of views that were replaced a while ago.

        Parameters
        ----------
        model : of it alone
        replaced : whether views that were replaced a moment ago go too, though servers may still read them
        """

    def close(self) -> None:
        """Close the connections."""


def generation_of(state: object) -> str | None:
    """Return the name of a view's generation, by which runs know the view that they wrote; files have none."""
    return state if isinstance(state, str) else None


class OnlineView:
    """An online view that is read.

    Parameters
    ----------
    rows : the view in its place

    Raises
    ------
    ValueError : the view is not of this format
    """

    def __init__(self, rows: ViewRows) -> None:
        self.rows, self.state, self.described = rows, rows.state, rows.described
        if self.described.get("format") != FORMAT:
            raise ValueError("it is of another format")
        self._valid_us = [group["valid_us"] for group in self.described["groups"]]
        # A view never changes, so the rows of keys that were asked for stay right; what is found here takes no lock.
        self._kept: dict[tuple[int | str, ...], tuple[list[int], list[Row]]] = {}
        self._kept_rows = 0
        self._too_long: set[tuple[int | str, ...]] = set()  # keys of the view that are not kept, so there are no more than it has
        self._lock = threading.Lock()

    @cached_property
    def calendar(self) -> Mapping[str, CalendarPart]:
        """The calendar features by name."""
        return {name: CalendarPart(str(time), str(part), tz) for name, (time, part, tz) in self.described["calendar"].items()}

    def values(self, number: int, keys: Sequence[str], at_us: int, *, may_wait: bool = True) -> Row | None:
        """Return the values of a group that hold for a key at a time; None where there are none.

        Parameters
        ----------
        number : place of the group
        keys : as text
        at_us : microseconds since 1970
        may_wait : whether another machine may be waited for

        Raises
        ------
        NotKept : it would have to be waited for
        ViewsUnavailable : the place of the view does not answer
        """
        valid_us = self._valid_us[number]
        key: tuple[int | str, ...] = (number, *keys)
        if (rows_of_key := self._kept.get(key)) is None:
            if self.rows.waits and not may_wait:
                raise NotKept
            if key not in self._too_long:
                rows_of_key = self._keep(key)
        if rows_of_key is None:
            row = self.rows.row_at(number, keys, at_us)
            return None if row is None or (valid_us is not None and at_us - row[0] > valid_us) else row[1:]
        ats, values = rows_of_key
        place = bisect_right(ats, at_us) - 1
        return None if place < 0 or (valid_us is not None and at_us - ats[place] > valid_us) else values[place]

    def _keep(self, key: tuple[int | str, ...]) -> tuple[list[int], list[Row]] | None:
        """Keep the rows of a group's key in memory, and return their times and values; None for a key that is asked of the place each time.

        Those are keys with too many rows, and all others once the memory is full: to make room for one key costs more than to ask for it. One without rows is not kept.
        """
        number, *keys = key
        rows = self.rows.rows_of_key(int(number), [str(text) for text in keys], KEPT_ROWS_OF_KEY + 1)
        with self._lock:
            if len(rows) > KEPT_ROWS_OF_KEY or (rows and self._kept_rows + len(rows) > KEPT_ROWS):
                self._too_long.add(key)
                return None
            rows_of_key = [row[0] for row in rows], [row[1:] for row in rows]
            if rows and key not in self._kept:
                self._kept_rows += len(rows)
                self._kept[key] = rows_of_key
        return rows_of_key

    def newest_key(self, number: int) -> Row | None:
        """Return the key, as text, of the newest row of a group; None for a group without rows."""
        return self.rows.newest_key(number)

    @cached_property
    def names(self) -> Mapping[str, Mapping[str, str]]:
        """The names of values, by input and value, in their order."""
        names: dict[str, dict[str, str]] = {}
        for input_, value, name in self.rows.names():
            names.setdefault(input_, {})[value] = name
        return names

    def rows_with(self, test: Callable[[str, str], bool]) -> int:
        """Return the number of rows and names of which a key fulfils a test of its name and its text."""
        count = 0
        for number, group in enumerate(self.described["groups"]):
            for place, key in enumerate(group["keys"]):
                count += sum(rows for text, rows in self.rows.key_counts(number, place) if test(key, text))
        return count + sum(test(input_, value) for input_, value, _ in self.rows.names())


def key_text(value: Scalar) -> str | None:
    """Return the value of a key as Spark writes it as text.

    Examples
    --------
    >>> key_text(74), key_text("74"), key_text(True), key_text(None)
    ('74', '74', 'true', None)
    """
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(int(value)) if float(value).is_integer() else str(value)
