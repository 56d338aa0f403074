"""The flow of ``caudal verify``: the ledger, then each product's raw files, tables and models."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from caudal.commands.status import products
from caudal.commands.verify.fault import Findings, Verified
from caudal.commands.verify.ledger import check_ledger, check_mlflow, check_step
from caudal.commands.verify.models import check_models
from caudal.commands.verify.raw import check_raw
from caudal.commands.verify.tables import check_table
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError, NotThere
from caudal.ledger.ledger import Ledger
from caudal.runtime.opening import open_home
from caudal.storage.place import Place

if TYPE_CHECKING:
    from caudal.report.documents import VerifyDocument


def verify(settings: Settings, product: str | None = None, *, deep: bool = False) -> VerifyDocument:
    """Look at everything that a home and its lake hold, and return what is wrong and how it is mended; nothing is changed.

    Parameters
    ----------
    product : only this one
    deep : whether every page of every table is decoded, beside its file's hash

    Raises
    ------
    NotThere : there is no home, or no such product in it
    """
    if not settings.home.is_dir():
        raise NotThere(f"There is no home '{settings.home}'.", fix="Give the right one with --home DIR.")
    began = time.perf_counter()
    home, findings = open_home(settings), Findings()
    with contextlib.ExitStack() as stack:
        ledger = check_ledger(home, findings)
        if ledger is not None:
            stack.callback(ledger.close)
        told = Verified(home, ledger, findings, deep)
        check_mlflow(told)
        names = _products(told, ledger)
        if product is not None and product not in names:
            raise NotThere(f"'{product}' has not run in {home.path}.", fix=f"There are: {', '.join(names) or 'none yet'}.")
        for name in names if product is None else [product]:
            _product(told, name)
    return {
        "home": str(home.path),
        "lake": str(home.lake),
        "deep": deep,
        "seconds": round(time.perf_counter() - began, 3),
        **findings.document(),
    }


def _product(told: Verified, product: str) -> None:
    for source in _folders(told.home.lake / "raw" / product):
        check_raw(told, product, source)
    for folder in _folders(told.home.tables(product)):
        if folder.name == "_quarantine":
            for aside in _folders(folder):
                check_table(told, product, aside, aside=True)
        else:
            check_table(told, product, folder)
    if told.ledger is not None:
        check_step(told, product, told.ledger)
        check_models(told, product, told.ledger)


def _products(told: Verified, ledger: Ledger | None) -> list[str]:
    names = {folder.name for room in ("raw", "lake") for folder in _folders(told.home.lake / room)}
    if ledger is not None:
        with contextlib.suppress(CaudalError):
            names |= set(products(ledger))
    return sorted(names)


def _folders(above: Place) -> list[Place]:
    return sorted((entry for entry in above.iterdir() if not entry.is_file()), key=str) if above.is_dir() else []
