"""Online views in files of the home: one SQLite file for each served model.

A file is written beside the old one and takes its place in one step, so a reader sees the whole of one of them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from caudal.tables.online import Described, OnlineView, Row, ViewGroup, ViewName
from caudal.tables.view_place_kind import ViewPlaceKind

SUFFIX = ".sqlite"


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
        return open_view(self.draft)

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


def open_view(file: Path) -> OnlineView:
    """Return the view that a file holds.

    Raises
    ------
    OSError, sqlite3.Error, ValueError : there is no such file, or it is not a view of this format
    """
    return OnlineView(FileRows(file))


class FileRows:
    """The rows of a view in a file: a `caudal.tables.online.ViewRows`.

    Parameters
    ----------
    file : Path

    Raises
    ------
    OSError, sqlite3.Error, ValueError : there is no such file, or it is no view
    """

    waits = False

    def __init__(self, file: Path) -> None:
        self.file = file
        self.state: object = state_of(file)
        if self.state is None:
            raise FileNotFoundError(file)
        # One connection, made now: one made later by another thread would open a file that has taken this one's place.
        self._connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._lock = threading.Lock()
        (text,) = self._ask("SELECT document FROM described", ()) or ("{}",)
        self.described: Described = json.loads(text)
        groups = self.described.get("groups", [])
        self._queries = [_query(number, group) for number, group in enumerate(groups)]
        self._all_of_key = [_query(number, group, timed=False) for number, group in enumerate(groups)]

    def _ask(self, query: str, values: Sequence[object]) -> Row | None:
        with self._lock:
            row: Row | None = self._connection.execute(query, values).fetchone()
        return row

    def _all(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def rows_of_key(self, number: int, keys: Sequence[str], most: int) -> list[Row]:
        """Return the first rows of a key of a group in order of time, each a time and values."""
        return self._all(self._all_of_key[number], (*keys, most))

    def row_at(self, number: int, keys: Sequence[str], at_us: int) -> Row | None:
        """Return the newest row of a key at or before a time: its time and values."""
        return self._ask(self._queries[number], (*keys, at_us))

    def newest_key(self, number: int) -> Row | None:
        """Return the key, as text, of the newest row of a group; None for a group without rows."""
        keys = _columns("k", len(self.described["groups"][number]["keys"]))
        return self._ask(f"SELECT {', '.join(keys)} FROM group_{number} ORDER BY at DESC LIMIT 1", ()) if keys else ()  # noqa: S608

    def names(self) -> list[tuple[str, str, str]]:
        """Return input, value and name of each name, in their order."""
        return [(row[0], row[1], row[2]) for row in self._all("SELECT input, value, name FROM named ORDER BY input, place")]

    def key_counts(self, number: int, place: int) -> list[tuple[str, int]]:
        """Return the texts of one of a group's keys, each with its number of rows."""
        return [(row[0], row[1]) for row in self._all(f"SELECT k{place}, count(*) FROM group_{number} GROUP BY k{place}")]  # noqa: S608

    def all_rows(self, number: int) -> Iterator[tuple[Row, Row]]:
        """Yield the keys of each row of a group, and its time and values, in order of keys and time; no other thread may ask meanwhile."""
        group = self.described["groups"][number]
        keys, values = _columns("k", len(group["keys"])), _columns("v", len(group["columns"]))
        columns = [*keys, "at", *values]
        for row in self._connection.execute(f"SELECT {', '.join(columns)} FROM group_{number} ORDER BY {', '.join([*keys, 'at'])}"):  # noqa: S608
            yield row[: len(keys)], row[len(keys) :]

    def count_keys(self, number: int) -> int:
        """Return the number of different keys of a group."""
        keys = ", ".join(_columns("k", len(self.described["groups"][number]["keys"]))) or "1"
        return int(self._all(f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM group_{number})")[0][0])  # noqa: S608


class FileViews:
    """The views in a folder of the home: a `caudal.tables.online.ViewPlace`.

    Parameters
    ----------
    folder : has a folder for each product
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.shown = folder, str(folder)

    def file(self, name: ViewName) -> Path:
        """Return the file of a view."""
        return view_file(self.folder / name[0], name[1])

    def states(self, names: Collection[ViewName]) -> dict[ViewName, object]:
        """Return by what each view is told from the one before it; a view that is not there is left out."""
        return {name: state for name in names if (state := state_of(self.file(name))) is not None}

    def open(self, name: ViewName) -> FileRows:
        """Return a view."""
        return FileRows(self.file(name))

    def draft(self, name: ViewName) -> ViewWriter:
        """Return a new view that is to be written."""
        return ViewWriter(self.file(name))

    def models(self, product: str) -> list[str]:
        """Return the models of a product that have a view."""
        return [model for model, _ in views(self.folder / product)]

    def remove(self, name: ViewName) -> None:
        """Remove a view."""
        self.file(name).unlink(missing_ok=True)

    def sweep(self, product: str, model: str | None = None, *, replaced: bool = False) -> None:  # noqa: ARG002
        """Remove what is left of drafts; files that were replaced are gone at once, though servers that have opened them read on."""
        for draft in drafts(self.folder / product):
            if model is None or draft.name.startswith(f".{model}{SUFFIX}."):
                draft.unlink(missing_ok=True)

    def close(self) -> None:
        """Do nothing: no connection is kept."""


def state_of(file: Path) -> tuple[int, int, int] | None:
    """Return by what a file is told from the one before it; None where there is none."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _columns(letter: str, count: int) -> list[str]:
    return [f"{letter}{place}" for place in range(count)]


def _query(number: int, group: ViewGroup, *, timed: bool = True) -> str:
    """Return the query of the newest row of a key at or before a time; without a time, that of so many rows of a key in order."""
    values, keys = _columns("v", len(group["columns"])), _columns("k", len(group["keys"]))
    conditions = " AND ".join([*(f"{key} = ?" for key in keys), *(["at <= ?"] if timed else [])]) or "true"
    order = "at DESC LIMIT 1" if timed else "at LIMIT ?"
    return f"SELECT {', '.join(['at', *values])} FROM group_{number} WHERE {conditions} ORDER BY {order}"  # noqa: S608


VIEW_PLACE = ViewPlaceKind("sqlite", (), lambda _, folder: FileViews(folder))
