"""The layout of the home folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from caudal.ledger.faults import check_ledger_exists
from caudal.ledger.ledger import Ledger, open_ledger
from caudal.storage.driver import sqlite_url
from caudal.storage.place import Place


@dataclass(frozen=True)
class Home:
    """The folder that holds ledger, models and run pages (``--home``, default ``.caudal``), the lake unless that is
    elsewhere, and online views unless ``views_url`` names another place for them."""

    path: Path
    ledger_url: str | None = None
    elsewhere: Place | None = None
    views_url: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The ledger's database URL; SQLite in the home unless configured."""
        return self.ledger_url or sqlite_url(self.path.absolute() / "ledger.db")

    def ledger(self) -> Ledger:
        """Open the ledger."""
        if self.ledger_url is None and self.elsewhere is None:
            check_ledger_exists(self.path.absolute() / "ledger.db", self.path)
        return open_ledger(self.url)

    @property
    def lake(self) -> Place:
        """The root of raw bytes and tables."""
        return self.elsewhere or self.path

    def raw(self, product: str, source: str) -> Place:
        """Folder of a source's landed bytes."""
        return self.lake / "raw" / product / source

    def tables(self, product: str) -> Place:
        """Folder of a product's tables."""
        return self.lake / "lake" / product

    def table(self, product: str, table: str) -> Place:
        """Folder of a Delta table."""
        return self.tables(product) / table

    def quarantines(self, product: str) -> Place:
        """Folder of a product's tables of quarantined rows."""
        return self.tables(product) / "_quarantine"

    def quarantine(self, product: str, table: str) -> Place:
        """Folder of the Delta table of a table's quarantined rows."""
        return self.quarantines(product) / table

    def stream(self, product: str, source: str) -> Path:
        """Folder of a source's embedded log."""
        return self.path / "streams" / product / source

    def models(self, product: str, model: str) -> Path:
        """Folder of a model's versions."""
        return self.path / "models" / product / model

    def online(self, product: str) -> Path:
        """Folder of the online views of a product's models, a file for each; of drafts alone where views have another place."""
        return self.path / "online" / product

    def requests(self, product: str, source: str) -> Path:
        """Folder in which servers write the requests of a source until they are landed."""
        return self.path / "requests" / product / source

    def page(self, product: str, run_id: str) -> Path:
        """File of a run's page."""
        return self.path / "runs" / product / f"{run_id}.html"

    def live(self, product: str) -> Path:
        """Folder of the live feed of a product's streams."""
        return self.path / "live" / product

    def lease(self, product: str) -> Path:
        """File that is locked while a run of the product is active."""
        return self.path / "leases" / f"{product}.lock"

    def fetched(self, product: str, source: str) -> Path:
        """Folder of a source's downloads; kept across runs until they are landed, so that an interrupted one is resumed."""
        return self.path / "fetched" / product / source

    def staged(self, product: str, source: str) -> Place:
        """Folder to which Spark's executors, wherever they run, write what they fetch for a source; emptied by each fetch."""
        return self.lake / "fetched" / product / source / "spark"

    def scratch(self, product: str) -> Path:
        """Folder for unfinished files; emptied at the start of each run."""
        return self.path / "scratch" / product
