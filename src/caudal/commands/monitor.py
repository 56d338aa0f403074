"""``caudal monitor``: the newest figures of a product's monitors, from the ledger."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from caudal.commands.status import resolve_product
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.report.monitors import monitors_document, monitors_of
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import MonitorsDocument


def monitor(settings: Settings, product: str | None, name: str | None = None) -> MonitorsDocument:
    """Return the document of all monitors of a product, or of one.

    Raises
    ------
    NotThere : the product has no such monitor, or none that has counted anything
    """
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        product_name = resolve_product(home, ledger, product)
        known = monitors_of(ledger, product_name)
        if not known:
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
        return monitors_document(ledger, product_name, None if name is None else [name])
