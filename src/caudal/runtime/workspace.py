"""What the steps of one run share, composed of small parts: each part's module says what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.runtime.observer import ObservedRun
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import RunReporting
from caudal.runtime.run_request import RunRequest
from caudal.runtime.run_spark import RunSpark, has_little_data
from caudal.tables.home import Home


@dataclass(frozen=True)
class Workspace:
    """The parts of one run; a step's work receives it, the functions below take only the parts that they use.

    Parameters
    ----------
    record : the run in the ledger
    tables : the product and its tables in the home
    spark : the Spark session, started on first use
    request : what the caller of the run asks for
    reporting : who hears of the run
    """

    record: RunRecord
    tables: ProductTables
    spark: RunSpark
    settings: Settings
    request: RunRequest
    reporting: RunReporting

    @classmethod
    def compose(
        cls, product: Product, home: Home, settings: Settings, record: RunRecord, *,
        request: RunRequest | None = None, reporting: RunReporting | None = None, connectors: frozenset[str] = frozenset(),
        long: bool = False,
    ) -> Self:  # fmt: skip
        """Return the workspace of a run.

        Parameters
        ----------
        connectors : those that Spark needs beside those of the lake and of the product's sources
        long : whether Spark will work for long, however little data there is at the start
        """
        reporting = reporting or RunReporting()
        spark = RunSpark(
            product,
            settings,
            home.lake,
            reporting.progress,
            lambda: not long and has_little_data(product, record.ledger),
            connectors,
        )
        return cls(record, ProductTables(product, home), spark, settings, request or RunRequest(), reporting)

    @property
    def product(self) -> Product:
        """The product that is run."""
        return self.tables.product

    @property
    def observed(self) -> ObservedRun:
        """What observers receive of the run."""
        progress = self.reporting.progress
        return ObservedRun(self.record, self.tables, self.settings, progress.noted, progress.slow, self.reporting.observers)
