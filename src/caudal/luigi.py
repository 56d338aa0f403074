"""Tables of a data product in a Luigi pipeline: ``from caudal.luigi import Table``.

The other way round, a source may come after tasks of a pipeline: ``product.source(..., after=MyTask())``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi

from caudal.batch.batch import run
from caudal.declarations.settings import Settings, settings
from caudal.errors import NotThere
from caudal.graph.load import load, product_file, with_data
from caudal.runtime.manifest import nothing_new
from caudal.runtime.opening import open_home
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.tables.frames import arrow, pandas_frame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Published", "Table"]


class Published(luigi.Target):
    """The newest version of a table, or of a day of it.

    Parameters
    ----------
    folder : where the Delta table lies
    day : date, optional
    """

    def __init__(self, folder: Place, day: dt.date | None = None) -> None:
        self.folder, self.day = folder, day

    @property
    def version(self) -> int | None:
        """Its number; None before it has been published."""
        return delta.version_of(self.folder)

    def exists(self) -> bool:
        """Tell whether it is there; of a day, whether rows of that day are."""
        if self.version is None:
            return False
        return self.day is None or self.day.isoformat() in delta.read_version(self.folder).days

    def arrow(self) -> pa.Table:
        """Return its rows, without Spark."""
        return arrow(delta.read_version(self.folder), days=None if self.day is None else [self.day.isoformat()])

    def pandas(self) -> pd.DataFrame:
        """Return its rows as a data frame, without Spark."""
        return pandas_frame(self.arrow())


class Table(luigi.Task):
    """A table of a data product, up to date: another task can require it, and reads ``self.input()``.

    Parameters
    ----------
    product : the product's folder
    table : the table's name, or a source's, or a prediction's
    day : such as ``2024-01-05``: the task is complete when the table holds rows of that day; else when the product has nothing to do
    home, data : as of ``caudal run``
    """

    product = luigi.Parameter()
    table = luigi.Parameter()
    day = luigi.OptionalParameter(default=None)
    home = luigi.OptionalParameter(default=None)
    data = luigi.OptionalParameter(default=None)

    _ran = False

    def complete(self) -> bool:
        """Tell whether there is nothing to do for it."""
        if self.day is not None:
            return bool(self.output().exists())
        return self._ran or (self.output().exists() and self._nothing_new())

    def output(self) -> Published:
        """Return the table."""
        declared = load(Path(self.product))
        if self.table not in declared.nodes and self.table not in declared.predictions:
            raise NotThere(
                f"Product '{declared.name}' has no table '{self.table}'.", fix=f"There are: {', '.join(declared.nodes)}."
            )
        return Published(
            open_home(self._settings).table(declared.name, self.table), dt.date.fromisoformat(self.day) if self.day else None
        )

    def run(self) -> None:
        """Bring the product up to date."""
        result = run(Path(self.product), self._settings)
        if result.error is not None:
            raise result.error
        self._ran = True

    @property
    def _settings(self) -> Settings:
        paths: dict[str, Any] = {name: Path(value) for name in ("home", "data") if (value := getattr(self, name))}
        return settings(**paths)

    def _nothing_new(self) -> bool:
        home, file = open_home(self._settings), product_file(Path(self.product))
        with contextlib.closing(home.ledger()) as ledger:
            return nothing_new(file, with_data(self._settings, file), home, ledger, "all") is not None
