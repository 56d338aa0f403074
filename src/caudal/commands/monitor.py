"""``caudal monitor``: the newest figures of a product's monitors, from the ledger."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from caudal.commands.status import resolve_product
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.report.monitors import monitors_document, monitors_of
from caudal.report.served import served_document
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import MonitorCommandDocument


def monitor(settings: Settings, product: str | None, name: str | None = None) -> MonitorCommandDocument:
    """Return the document of all monitors of a product with what its servers have seen, or of one monitor.

    Raises
    ------
    NotThere : the product has no such monitor, or none that has counted anything and no server that was asked
    """
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        product_name = resolve_product(home, ledger, product)
        known = monitors_of(ledger, product_name)
        served = served_document(ledger, product_name, time.time()) if name is None else []
        if not known and not served:
            raise NotThere(
                f"Product '{product_name}' has no monitor that has counted anything.",
                fix="Declare one, product.monitor(model), and run the product.",
            )
        if name is not None and name not in known:
            raise NotThere(
                f"Product '{product_name}' has no monitor '{name}'.",
                nearest=nearest(name, known),
                fix=f"It has {', '.join(known)}.",
            )
        return {**monitors_document(ledger, product_name, None if name is None else [name]), "served": served}
