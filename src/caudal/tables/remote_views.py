"""What places of online views on other machines have in common: how keys and values are written, drafts, and waiting for a place that does not answer."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypedDict, cast

from caudal.secret import redact, shown
from caudal.tables.online import Described, OnlineView, Row, ViewGone, ViewGroup, ViewName, ViewRows, ViewsUnavailable
from caudal.tables.view_places.sqlite import FileRows, ViewWriter, view_file

ASK_S = 2.0  # longest wait for an answer, or for a connection
RETRY_S = 1.0  # after a place did not answer, until it is asked again
GRACE_S = 60  # for which a view that was replaced can still be read by servers that have begun with it
MOST_CONNECTIONS = 4  # of a process


class ViewDocument(TypedDict):
    """What is kept of a view beside its rows.

    Parameters
    ----------
    described : as `caudal.tables.online.Described`
    names : input, value and name of each name, in their order
    newest : by group, the key of its newest row
    buckets : by group, the number of parts that its keys are spread over, where a place does that
    """

    described: Described
    names: list[tuple[str, str, str]]
    newest: list[list[str] | None]
    buckets: list[int]


class RemotePlace(Protocol):
    """A place on another machine, as drafts write to it."""

    def write(self, name: ViewName, generation: str, rows: FileRows) -> ViewRows:
        """Write a generation, which nobody sees yet, from a finished file, and return its rows as they can be read."""

    def point(self, name: ViewName, generation: str) -> None:
        """Make a generation the one that is read, in one step."""

    def remove_generation(self, name: ViewName, generation: str) -> None:
        """Remove a generation that nobody reads."""


class GenerationRows:
    """What the rows of a generation have in common, whatever holds them; with a place's own queries they are a `caudal.tables.online.ViewRows`.

    Parameters
    ----------
    generation : its name
    document : what is kept of it beside its rows
    """

    waits = True

    def __init__(self, generation: str, document: ViewDocument) -> None:
        self._document = document
        self.state: object = generation
        self.described = document["described"]

    def newest_key(self, number: int) -> Row | None:
        """Return the key, as text, of the newest row of a group; None for a group without rows."""
        key = self._document["newest"][number]
        return None if key is None else tuple(key)

    def names(self) -> list[tuple[str, str, str]]:
        """Return input, value and name of each name, in their order."""
        return [(input_, value, name) for input_, value, name in self._document["names"]]


class RemoteDraft:
    """A draft that is made in a file of the home first, so that each place holds the very same rows; then it is written to the place: a `caudal.tables.online.ViewDraft`.

    Parameters
    ----------
    folder : that of a product's views in the home
    """

    def __init__(self, place: RemotePlace, name: ViewName, folder: Path) -> None:
        self._place, self._name, self._generation = place, name, secrets.token_hex(8)
        self._file = ViewWriter(view_file(folder, name[1]))
        self._written = self._published = False

    def add_group(self, number: int, group: ViewGroup, rows: Iterable[Row]) -> None:
        """Add the rows of a group: their keys as text, the time in microseconds since 1970, and the values."""
        self._file.add_group(number, group, rows)

    def count(self, number: int) -> int:
        """Return the number of rows of a group."""
        return self._file.count(number)

    def begin_at(self, number: int, group: ViewGroup, since_us: int) -> None:
        """Move what held when the view begins to its beginning, and remove what was before."""
        self._file.begin_at(number, group, since_us)

    def add_names(self, input_: str, names: Sequence[tuple[str, str]]) -> None:
        """Add the names of an input's values, in their order."""
        self._file.add_names(input_, names)

    def finish(self, described: Described) -> OnlineView:
        """Write the view to its place, where nobody sees it yet, and return it as it can be read there."""
        rows = cast(FileRows, self._file.finish(described).rows)
        self._written = True
        return OnlineView(self._place.write(self._name, self._generation, rows))

    def publish(self) -> None:
        """Put the view in the place of the one before."""
        self._place.point(self._name, self._generation)
        self._published = True

    def discard(self) -> None:
        """Remove the file, and what was written to the place unless it was published."""
        self._file.discard()
        if self._written and not self._published:
            self._place.remove_generation(self._name, self._generation)


class Turns:
    """Lets so many threads ask a place at a time, those first that have waited longest.

    Parameters
    ----------
    most : connections of this process
    """

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._free, self._lock = most, threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self, outage: Outage) -> Iterator[None]:
        """Hold a turn in the block.

        Raises
        ------
        ViewsUnavailable : none was free in time
        """
        mine: threading.Lock | None = None
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
            else:
                mine = threading.Lock()
                mine.acquire()
                self._waiting.append(mine)
        if mine is not None and not mine.acquire(timeout=ASK_S):
            with self._lock:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                    raise outage.problem("all connections are in use")
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:  # handed over, so that no other thread takes it before
                    self._waiting.popleft().release()
                else:
                    self._free += 1


class Outage:
    """Whether a place answers. One that has not is left alone for a second, so that no more than one request in a second waits for it.

    Parameters
    ----------
    url : address of the place
    """

    def __init__(self, url: str) -> None:
        self.shown = shown(url)
        self._lock = threading.Lock()
        self._sentence: str | None = None
        self._until = 0.0

    def check(self) -> None:
        """Raise ViewsUnavailable where the place did not answer a moment ago."""
        with self._lock:
            if self._sentence is not None and time.monotonic() < self._until:
                raise self.problem(self._sentence)

    def begin(self, why: object) -> ViewsUnavailable:
        """Note that the place does not answer, and return the error that says so."""
        with self._lock:
            self._sentence, self._until = one_line(why), time.monotonic() + RETRY_S
            return self.problem(self._sentence)

    def end(self) -> None:
        """Note that the place has answered."""
        self._sentence = None

    def problem(self, why: str) -> ViewsUnavailable:
        """Return the error of a place that does not answer, and why."""
        return ViewsUnavailable(
            f"The online views at {self.shown} do not answer: {why}.",
            fix="Check CAUDAL_ONLINE and whether its server is up; it is asked again by itself.", place=self.shown,
        )  # fmt: skip

    def gone(self, name: ViewName) -> ViewGone:
        """Return the error of a view of which rows are no longer there."""
        return ViewGone(
            f"The online view of '{name[0]}/{name[1]}' that was read at {self.shown} is no longer there.", place=self.shown
        )


def one_line(why: object) -> str:
    """Return an error as a part of a sentence, without secrets."""
    lines = [line.strip() for line in str(why).splitlines() if line.strip()]
    return redact(lines[0] if lines else type(why).__name__).rstrip(".")


def document_of(rows: FileRows, buckets: Collection[int] = ()) -> ViewDocument:
    """Return what is kept of a view beside its rows."""
    newest = [rows.newest_key(number) for number in range(len(rows.described["groups"]))]
    return {
        "described": rows.described, "names": rows.names(), "newest": [None if key is None else list(key) for key in newest], "buckets": list(buckets),
    }  # fmt: skip


def joined_key(keys: Sequence[str]) -> str:
    """Return the keys of a row as one text.

    Examples
    --------
    >>> joined_key(["74", 'a "b"'])
    '["74","a \\\\"b\\\\""]'
    """
    return json.dumps(list(keys), ensure_ascii=False, separators=(",", ":"))


def written_values(values: Sequence[Any]) -> str:
    """Return the values of a row, or rows of values, as text that gives each number back to its last bit.

    Examples
    --------
    >>> written_values((0.1, -0.0, float("inf"), 2**62, "a", None))
    '[0.1,-0.0,Infinity,4611686018427387904,"a",null]'
    """
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
