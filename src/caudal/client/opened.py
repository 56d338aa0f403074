"""``cd.open``: the home, and its products."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.client.models import ModelVersions
from caudal.client.shown import page_part, runs_frame
from caudal.client.tables import PublishedTable, newest_version
from caudal.commands.status import known_products
from caudal.declarations.settings import settings
from caudal.errors import NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions, runs
from caudal.runtime.opening import open_home
from caudal.storage import delta
from caudal.tables.home import Home

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.settings import Settings


def open(home: str | os.PathLike[str] = ".caudal") -> OpenedHome:
    """Open a home: what products have published in it, as Python objects.

    Nothing is started or kept open: tables are read by Arrow, the ledger when it is asked. A table of the home is ``cd.open(".caudal")["taxi"]["trips"]``.

    Parameters
    ----------
    home : the folder that runs were given as ``--home``; further settings (``caudal.toml``, ``CAUDAL_LAKE`` …) hold as for the commands

    Raises
    ------
    NotThere : the folder is no home
    """
    folder = Path(home)
    chosen = settings(home=folder)
    if not folder.is_dir():
        raise NotThere(f"There is no home '{folder}'.", fix="Run a product first: caudal run FOLDER --home DIR.")
    return OpenedHome(open_home(chosen), chosen)


@dataclass(frozen=True)
class OpenedHome:
    """A home. ``home["taxi"]`` is a product; iterate for their names."""

    home: Home
    settings: Settings

    @property
    def products(self) -> list[str]:
        """The names of the products that have run."""
        with self._ledger() as ledger:
            return known_products(ledger)

    def __iter__(self) -> Iterator[str]:
        return iter(self.products)

    def __len__(self) -> int:
        return len(self.products)

    def __getitem__(self, product: str) -> OpenedProduct:
        names = self.products
        if product not in names:
            raise NotThere(
                f"No product '{product}' has run in '{self.home.path}'.",
                nearest=nearest(product, names),
                fix=f"It has {', '.join(names) or 'none yet'}.",
            )
        return OpenedProduct(self, product)

    def _ipython_key_completions_(self) -> list[str]:
        return self.products

    def _repr_html_(self) -> str:
        rows = [(name, ", ".join(self[name].tables), ", ".join(self[name].models)) for name in self.products]
        return page_part(f"Home {self.home.path}", ("product", "tables", "models"), rows)

    def __repr__(self) -> str:
        return f"<home {self.home.path}: {', '.join(self.products) or 'nothing has run'}>"

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        with contextlib.closing(self.home.ledger()) as ledger:
            yield ledger


@dataclass(frozen=True)
class OpenedProduct:
    """What a product has published. ``product["trips"]`` is its newest version; iterate for the names of its tables."""

    opened: OpenedHome
    name: str

    @property
    def tables(self) -> list[str]:
        """The names of the published tables: sources, tables, features and predictions."""
        folder = self.opened.home.tables(self.name)
        if not folder.is_dir():
            return []
        return sorted(
            entry.name for entry in folder.iterdir() if entry.name != "_quarantine" and delta.version_of(entry) is not None
        )

    @property
    def models(self) -> dict[str, ModelVersions]:
        """The models that have a version, by name."""
        with self.opened._ledger() as ledger:
            names = sorted({row["model"] for row in ledger.find(model_versions, product=self.name)})
        return {name: ModelVersions(self.opened.home, self.opened.settings, self.name, name) for name in names}

    def runs(self, most: int = 20) -> pd.DataFrame:
        """Return the newest runs: ``run_id``, ``command``, ``state``, ``started_at`` (UTC) and ``took_s``."""
        with self.opened._ledger() as ledger:
            return runs_frame(ledger.find(runs, product=self.name, newest=True, limit=most))

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __getitem__(self, table: str) -> PublishedTable:
        with self.opened._ledger() as ledger:
            return newest_version(self.opened.home, self.opened.settings, ledger, self.name, table)

    def _ipython_key_completions_(self) -> list[str]:
        return self.tables

    def _repr_html_(self) -> str:
        rows = [(name, table.version, f"{len(table):,}", len(table.columns)) for name in self.tables for table in (self[name],)]
        return page_part(f"Product {self.name}", ("table", "version", "rows", "columns"), rows)

    def __repr__(self) -> str:
        return f"<product {self.name}: {', '.join(self.tables) or 'no table yet'}>"
