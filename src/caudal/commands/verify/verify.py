"""The flow of ``caudal verify``: the ledger, then each product's raw files, tables and models."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from caudal.commands.status import known_products
from caudal.commands.verify.fault import Findings, Verification
from caudal.commands.verify.ledger import check_ledger, check_mlflow, check_table_versions
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
    """Check everything in a home and its lake, and return the faults with their fixes; nothing is changed.

    Parameters
    ----------
    product : check only this one
    deep : whether every page of every table is also decoded, besides its file's hash

    Raises
    ------
    NotThere : the home does not exist, or has no such product
    """
    if not settings.home.is_dir():
        raise NotThere(f"There is no home '{settings.home}'.", fix="Give the right one with --home DIR.")
    began = time.perf_counter()
    home, findings = open_home(settings), Findings()
    with contextlib.ExitStack() as stack:
        ledger = check_ledger(home, findings)
        if ledger is not None:
            stack.callback(ledger.close)
        verification = Verification(home, ledger, findings, deep)
        check_mlflow(verification)
        names = _product_names(verification, ledger)
        if product is not None and product not in names:
            raise NotThere(f"'{product}' has not run in {home.path}.", fix=f"There are: {', '.join(names) or 'none yet'}.")
        for name in names if product is None else [product]:
            _check_product(verification, name)
    return {
        "home": str(home.path),
        "lake": str(home.lake),
        "deep": deep,
        "seconds": round(time.perf_counter() - began, 3),
        **findings.document(),
    }


def _check_product(verification: Verification, product: str) -> None:
    for source in _folders(verification.home.lake / "raw" / product):
        check_raw(verification, product, source)
    for folder in _folders(verification.home.tables(product)):
        if folder.name == "_quarantine":
            for quarantine in _folders(folder):
                check_table(verification, product, quarantine, is_quarantine=True)
        else:
            check_table(verification, product, folder)
    if verification.ledger is not None:
        check_table_versions(verification, product, verification.ledger)
        check_models(verification, product, verification.ledger)


def _product_names(verification: Verification, ledger: Ledger | None) -> list[str]:
    names = {folder.name for room in ("raw", "lake") for folder in _folders(verification.home.lake / room)}
    if ledger is not None:
        with contextlib.suppress(CaudalError):
            names |= set(known_products(ledger))
    return sorted(names)


def _folders(parent: Place) -> list[Place]:
    return sorted((entry for entry in parent.iterdir() if not entry.is_file()), key=str) if parent.is_dir() else []
