"""Online views: one SQLite file for each served model, in which a server finds features by key and time, and the names of keys.

A file is written beside the old one and takes its place in one step, so a reader sees the whole of one of them; it never changes.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from caudal.declarations.online import CalendarPart
from caudal.json_value import Scalar

KEPT_ROWS, KEPT_ROWS_OF_KEY = 50_000, 1_000  # in memory, of a view and of one of its keys
SUFFIX = ".sqlite"
FORMAT = 1
Row = tuple[Any, ...]
UNREADABLE = (OSError, ValueError, sqlite3.Error, KeyError, TypeError)
"""What reading a view raises that is damaged, or of another version."""


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


def view_file(folder: Path, model: str) -> Path:
    """Return the file of a model's view in the folder of its product."""
    return folder / f"{model}{SUFFIX}"


def views(folder: Path) -> list[tuple[str, Path]]:
    """Return the model and the file of each view in a product's folder."""
    return [(file.name.removesuffix(SUFFIX), file) for file in sorted(folder.glob(f"*{SUFFIX}")) if not file.name.startswith(".")]


def drafts(folder: Path) -> list[Path]:
    """Return what is left of views that were never finished."""
    return sorted(folder.glob(f".*{SUFFIX}.*"))


class ViewWriter:
    """An online view that is being written; nobody sees it before it is published.

    Parameters
    ----------
    file : the place that it will take
    """

    def __init__(self, file: Path) -> None:
        self.file, self.draft = file, file.with_name(f".{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        for left in file.parent.glob(f".{file.name}.*"):  # of runs that were killed: one run of a product is active at a time
            left.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self.draft, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("BEGIN")
        self._connection.execute("CREATE TABLE described (document TEXT NOT NULL)")
        self._connection.execute(
            "CREATE TABLE named (input TEXT, value TEXT, name TEXT, place INTEGER, PRIMARY KEY (input, value)) WITHOUT ROWID"
        )

    def add_group(self, number: int, group: ViewGroup, rows: Iterable[Row]) -> None:
        """Add the rows of a group: their keys as text, the time in microseconds since 1970, and the values."""
        keys, values = _columns("k", len(group["keys"])), _columns("v", len(group["columns"]))
        self._connection.execute(
            f"CREATE TABLE group_{number} ({', '.join([*(f'{key} TEXT NOT NULL' for key in keys), 'at INTEGER NOT NULL', *values])}, "
            f"PRIMARY KEY ({', '.join([*keys, 'at'])})) WITHOUT ROWID"
        )
        places = ", ".join("?" for _ in (*keys, "at", *values))
        # A row without a key matches none, as it does in a join.
        whole = (row for row in rows if None not in row[: len(keys) + 1])
        self._connection.executemany(f"INSERT OR REPLACE INTO group_{number} VALUES ({places})", whole)  # noqa: S608

    def count(self, number: int) -> int:
        """Return the number of rows of a group."""
        return int(self._connection.execute(f"SELECT count(*) FROM group_{number}").fetchone()[0])  # noqa: S608

    def begin_at(self, number: int, group: ViewGroup, since_us: int) -> None:
        """Move what held when the view begins to its beginning, and remove what was before."""
        keys = _columns("k", len(group["keys"]))
        same = " AND ".join(["other.at > old.at", "other.at <= ?", *(f"other.{key} = old.{key}" for key in keys)])
        self._connection.execute(
            f"DELETE FROM group_{number} AS old WHERE old.at < ? AND EXISTS (SELECT 1 FROM group_{number} AS other WHERE {same})",  # noqa: S608
            (since_us, since_us),
        )
        if group["valid_us"] is None:
            self._connection.execute(f"UPDATE group_{number} SET at = ? WHERE at < ?", (since_us, since_us))  # noqa: S608
        else:
            self._connection.execute(f"DELETE FROM group_{number} WHERE at < ?", (since_us - group["valid_us"],))  # noqa: S608

    def add_names(self, input_: str, names: Sequence[tuple[str, str]]) -> None:
        """Add the names of an input's values, in their order."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO named VALUES (?, ?, ?, ?)",
            ((input_, value, name, place) for place, (value, name) in enumerate(names)),
        )

    def finish(self, described: Described) -> OnlineView:
        """Write what the view holds, and return it as it can be read; it is still a draft."""
        self._connection.execute("DELETE FROM described")
        self._connection.execute("INSERT INTO described VALUES (?)", (json.dumps(described),))
        self._connection.execute("COMMIT")
        self._connection.close()
        return OnlineView(self.draft)

    def publish(self) -> None:
        """Put the view in its place."""
        with self.draft.open("rb") as written:
            os.fsync(written.fileno())
        self.draft.replace(self.file)

    def discard(self) -> None:
        """Remove the draft, if it is there."""
        self._connection.close()
        self.draft.unlink(missing_ok=True)


@contextmanager
def written_view(file: Path) -> Iterator[ViewWriter]:
    """Yield a writer of a view, and remove what is left of its draft."""
    writer = ViewWriter(file)
    try:
        yield writer
    finally:
        writer.discard()


class OnlineView:
    """An online view that is read.

    Parameters
    ----------
    file : Path

    Raises
    ------
    OSError, sqlite3.Error, ValueError : there is no such file, or it is not a view of this format
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.state = state_of(file)
        if self.state is None:
            raise FileNotFoundError(file)
        # One connection, made now: one made later by another thread would open a file that has taken this one's place.
        self._connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._lock = threading.Lock()
        (text,) = self._ask("SELECT document FROM described", ()) or ("{}",)
        self.described: Described = json.loads(text)
        if self.described.get("format") != FORMAT:
            raise ValueError(f"{file} is of another format")
        self._queries = [_query(number, group) for number, group in enumerate(self.described["groups"])]
        self._all_of_key = [_query(number, group, timed=False) for number, group in enumerate(self.described["groups"])]
        self._valid_us = [group["valid_us"] for group in self.described["groups"]]
        # A view never changes, so the rows of keys that were asked for stay right; what is found here takes no lock.
        self._kept: dict[tuple[int | str, ...], tuple[list[int], list[Row]]] = {}
        self._kept_rows = 0
        self._too_long: set[tuple[int | str, ...]] = set()  # keys of the view that are not kept, so there are no more than it has

    def _ask(self, query: str, values: Sequence[object]) -> Row | None:
        with self._lock:
            row: Row | None = self._connection.execute(query, values).fetchone()
        return row

    def _all(self, query: str) -> list[Row]:
        with self._lock:
            return self._connection.execute(query).fetchall()

    @cached_property
    def calendar(self) -> Mapping[str, CalendarPart]:
        """The calendar features by name."""
        return {name: CalendarPart(str(time), str(part), tz) for name, (time, part, tz) in self.described["calendar"].items()}

    def values(self, number: int, keys: Sequence[str], at_us: int) -> Row | None:
        """Return the values of a group that hold for a key at a time; None where there are none.

        Parameters
        ----------
        number : place of the group
        keys : as text
        at_us : microseconds since 1970
        """
        valid_us = self._valid_us[number]
        key: tuple[int | str, ...] = (number, *keys)
        if (rows_of_key := self._kept.get(key)) is None and key not in self._too_long:
            rows_of_key = self._keep(key)
        if rows_of_key is None:
            row = self._ask(self._queries[number], (*keys, at_us))
            return None if row is None or (valid_us is not None and at_us - row[0] > valid_us) else row[1:]
        ats, values = rows_of_key
        place = bisect_right(ats, at_us) - 1
        return None if place < 0 or (valid_us is not None and at_us - ats[place] > valid_us) else values[place]

    def _keep(self, key: tuple[int | str, ...]) -> tuple[list[int], list[Row]] | None:
        """Keep the rows of a group's key in memory, and return their times and values; None for a key that is asked of the file each time.

        Those are keys with too many rows, and all others once the memory is full: to make room for one key costs more than to ask for it. One without rows is not kept.
        """
        number, *keys = key
        with self._lock:
            rows = self._connection.execute(self._all_of_key[int(number)], (*keys, KEPT_ROWS_OF_KEY + 1)).fetchall()
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
        keys = _columns("k", len(self.described["groups"][number]["keys"]))
        return self._ask(f"SELECT {', '.join(keys)} FROM group_{number} ORDER BY at DESC LIMIT 1", ()) if keys else ()  # noqa: S608

    @cached_property
    def names(self) -> Mapping[str, Mapping[str, str]]:
        """The names of values, by input and value, in their order."""
        rows = self._all("SELECT input, value, name FROM named ORDER BY input, place")
        names: dict[str, dict[str, str]] = {}
        for input_, value, name in rows:
            names.setdefault(input_, {})[value] = name
        return names

    def rows_with(self, test: Callable[[str, str], bool]) -> int:
        """Return the number of rows and names of which a key fulfils a test of its name and its text."""
        count = 0
        for number, group in enumerate(self.described["groups"]):
            for place, key in enumerate(group["keys"]):
                found = self._all(f"SELECT k{place}, count(*) FROM group_{number} GROUP BY k{place}")  # noqa: S608
                count += sum(rows for text, rows in found if test(key, text))
        count += sum(test(input_, value) for input_, value in self._all("SELECT input, value FROM named"))
        return count


def state_of(file: Path) -> tuple[int, int, int] | None:
    """Return by what a file is told from the one before it; None where there is none."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


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


def _columns(letter: str, count: int) -> list[str]:
    return [f"{letter}{place}" for place in range(count)]


def _query(number: int, group: ViewGroup, *, timed: bool = True) -> str:
    """Return the query of the newest row of a key at or before a time; without a time, that of so many rows of a key in order."""
    values, keys = _columns("v", len(group["columns"])), _columns("k", len(group["keys"]))
    conditions = " AND ".join([*(f"{key} = ?" for key in keys), *(["at <= ?"] if timed else [])]) or "true"
    order = "at DESC LIMIT 1" if timed else "at LIMIT ?"
    return f"SELECT {', '.join(['at', *values])} FROM group_{number} WHERE {conditions} ORDER BY {order}"  # noqa: S608
