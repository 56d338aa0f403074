"""A version of a published table: its rows as frames, its other versions, what was set aside, and where its columns come from."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from caudal.client.shown import page_part
from caudal.engine import session
from caudal.errors import DeclarationProblem, EnvironmentProblem, NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import lineages, profiles
from caudal.storage import delta
from caudal.storage.place import spark_needs
from caudal.tables.frames import arrow, pandas_frame, version_frame
from caudal.tables.home import Home
from caudal.tables.lifespans import lifespans
from caudal.tables.resolve import resolve_version

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from caudal.declarations.settings import Settings


def newest_version(home: Home, settings: Settings, ledger: Ledger, product: str, table: str) -> PublishedTable:
    """Return the newest version of a table.

    Raises
    ------
    NotThere : the product has not published it
    """
    return PublishedTable(home, settings, product, table, resolve_version(home, ledger, product, table, None, None))


@dataclass(frozen=True)
class PublishedTable:
    """A version of a table, as it was published: later runs do not change it."""

    home: Home
    settings: Settings
    product: str
    name: str
    snapshot: delta.Version

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.snapshot.number

    @property
    def columns(self) -> dict[str, str]:
        """The type of each column, as Arrow calls it."""
        return {field.name: str(field.type) for field in arrow(self.snapshot, days=()).schema}

    def __len__(self) -> int:
        return self.snapshot.rows

    def to_arrow(self, columns: Sequence[str] | None = None, days: Iterable[str] | None = None) -> pa.Table:
        """Return the rows, or some columns or event-time days (``2024-01-31``) of them, as an Arrow table; without Spark.

        Raises
        ------
        NotThere : the table has no such column, or is not kept by days
        DeclarationProblem : a day is none
        """
        known = self.columns
        unknown = next((name for name in columns or () if name not in known), None)
        if unknown is not None:
            raise NotThere(
                f"'{self.name}' has no column '{unknown}'.",
                nearest=nearest(unknown, list(known)),
                fix=f"It has {', '.join(known)}.",
            )
        if days is None:
            return arrow(self.snapshot, columns)
        if not self.snapshot.partitioned:
            raise NotThere(f"'{self.name}' is not kept by days.", fix="Leave days= out, and select rows of the frame.")
        return arrow(self.snapshot, columns, [_day(day) for day in ([days] if isinstance(days, str) else days)])

    def to_pandas(self, columns: Sequence[str] | None = None, days: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the rows as a pandas frame; see `to_arrow`. Whole numbers that a float would round are of pandas' type ``Int64`` beside nulls."""
        return pandas_frame(self.to_arrow(columns, days))

    def to_polars(self, columns: Sequence[str] | None = None, days: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the rows as a Polars frame; see `to_arrow`.

        Raises
        ------
        EnvironmentProblem : Polars is not installed
        """
        try:
            import polars
        except ImportError:
            raise EnvironmentProblem(
                "A Polars frame needs polars, which is not installed.", fix="Run: pip install polars"
            ) from None
        frame: pl.DataFrame = polars.from_arrow(self.to_arrow(columns, days))
        return frame

    def to_spark(self) -> DataFrame:
        """Return the rows as a Spark frame, on the session of this process, which is started if there is none."""
        connectors, conf = spark_needs(self.snapshot.folder)
        spark = session(
            connectors=connectors, master=self.settings.master, cores=self.settings.cores, memory=self.settings.memory,
            conf=conf | dict(self.settings.spark),
        )  # fmt: skip
        return version_frame(spark, self.snapshot)

    def at(self, *, version: int | None = None, run: str | None = None, time: str | dt.datetime | None = None) -> PublishedTable:
        """Return another version: by its number, as a run has left it, or the newest at a time.

        Parameters
        ----------
        time : a moment, ``"2024-01-31"`` or ``"2024-01-31T12:00"`` or a datetime; UTC where it has no zone

        Raises
        ------
        NotThere : there is none, or its files are not kept any more
        DeclarationProblem : not exactly one of the three is given
        """
        if sum(given is not None for given in (version, run, time)) != 1:
            raise DeclarationProblem("at() takes one of version=, run= and time=.", fix='Give one: table.at(time="2024-01-31").')
        if time is not None:
            version = self._version_at(time)
        with contextlib.closing(self.home.ledger()) as ledger:
            return replace(self, snapshot=resolve_version(self.home, ledger, self.product, self.name, version, run))

    def history(self) -> pd.DataFrame:
        """Return all versions, newest first: ``version``, ``at`` (UTC), ``run_id`` and ``step``."""
        import pandas as pd

        _, times = lifespans(self.snapshot.folder)
        identities = {number: delta.identity(self.snapshot.folder, number) for number in times}
        frame = pd.DataFrame(
            [(number, times[number], identities[number].get("run_id"), identities[number].get("step")) for number in sorted(times, reverse=True)],
            columns=["version", "at", "run_id", "step"],
        )  # fmt: skip
        return frame.assign(at=pd.to_datetime(frame["at"], unit="s", utc=True))

    def quarantine(self) -> pd.DataFrame:
        """Return the rows that are set aside now, with their ``_reasons`` and raw values; empty where there are none."""
        import pandas as pd

        folder = self.home.quarantine(self.product, self.name)
        return pd.DataFrame() if delta.version_of(folder) is None else pandas_frame(arrow(delta.read_version(folder)))

    def lineage(self) -> pd.DataFrame:
        """Return where each column comes from, a row for each origin: ``column``, ``from_table``, ``from_column``, ``kind``.

        ``kind`` is ``identity``, ``transformation`` or ``aggregation``, or ``indirect`` and how the origin has a say without being part of the value (``docs/lineage.md``).

        Raises
        ------
        NotThere : no lineage of this version is known
        """
        import pandas as pd

        with contextlib.closing(self.home.ledger()) as ledger:
            rows = [
                row for row in ledger.find(lineages, product=self.product, table=self.name) if (row["version"] or 0) <= self.version
            ]
        if not rows:
            raise NotThere(f"No lineage of '{self.name}' is known.", fix="It is written by the run that makes the table.")
        columns: dict[str, Any] = rows[-1]["document"]["columns"]
        origins = [
            (name, origin["table"], origin["column"], origin["kind"] if part == "from" else f"indirect {origin['how']}")
            for name, entry in columns.items()
            for part in ("from", "indirect")
            for origin in entry.get(part, ())
        ]
        return pd.DataFrame(origins, columns=["column", "from_table", "from_column", "kind"])

    def _version_at(self, time: str | dt.datetime) -> int:
        moment = dt.datetime.fromisoformat(time) if isinstance(time, str) else time
        moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
        _, times = lifespans(self.snapshot.folder)
        numbers = [number for number, at in times.items() if at <= moment.timestamp()]
        if not numbers:
            raise NotThere(f"'{self.name}' had no version at {moment.isoformat()}.", fix="See its history().")
        return max(numbers)

    def _repr_html_(self) -> str:
        with contextlib.closing(self.home.ledger()) as ledger:
            profile_rows = ledger.find(profiles, product=self.product, table=self.name, version=self.version)
        figures = profile_rows[-1]["columns"] if profile_rows else {}
        rows = []
        for name, kind in self.columns.items():
            nulls = figures.get(name, {}).get("nulls")
            rows.append((name, kind, "" if nulls is None else f"{nulls / max(len(self), 1):.1%}"))
        title = f"{self.product}.{self.name}, version {self.version}: {len(self):,} rows"
        return page_part(title, ("column", "type", "null"), rows)

    def __repr__(self) -> str:
        return f"<table {self.product}.{self.name} version {self.version}: {len(self):,} rows, {len(self.columns)} columns>"


def _day(text: str) -> str:
    """Return a day as tables name it; another way of writing it would find no rows."""
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise DeclarationProblem(f"'{text}' is no day.", fix='Write days=["2024-01-31"].') from None
