"""``caudal status --why``: why each step ran or was skipped the last time, from the ledger."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.commands.status import known_products
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.graph.product_name import product_name
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import steps
from caudal.ledger.rows import StepRow
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import WhyDocument, WhyStep


def why_steps_ran(settings: Settings, about: Path | None) -> WhyDocument:
    """Return why steps ran or were skipped the last time, for all products, one product or one step.

    Parameters
    ----------
    about : a product's folder or name, ``PRODUCT/STEP``, or a step such as ``table:trips``
    """
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        names = known_products(ledger)
        product, name = _product_and_step(about, names)
        document = {
            listed_product: _steps(ledger, listed_product, name) for listed_product in names if product in (None, listed_product)
        }
        if name is not None and not any(document.values()):
            step_names = [row["step"] for listed_product in document for row in _steps(ledger, listed_product, None)]
            raise NotThere(
                f"No step '{name}' has run in {home.path}.",
                nearest=nearest(name, step_names),
                fix=f"There are: {', '.join(step_names) or 'none'}.",
            )
        return {
            "home": str(home.path),
            "products": [{"product": listed_product, "steps": rows} for listed_product, rows in document.items()],
        }


def _product_and_step(about: Path | None, names: list[str]) -> tuple[str | None, str | None]:
    if about is None:
        return None, None
    if (about if about.suffix == ".py" else about / "product.py").is_file():
        return product_name(about), None
    text, parent = about.name, about.parent
    if text in names and str(parent) == ".":
        return text, None
    if str(parent) == ".":
        return None, text
    product = str(parent) if str(parent) in names else product_name(parent)
    return product, text


def _steps(ledger: Ledger, product: str, name: str | None) -> list[WhyStep]:
    newest = {row["step"]: row for row in ledger.find(steps, product=product) if row["state"] != "running"}
    rows = sorted(newest.values(), key=lambda row: row["id"])
    return [
        {
            "step": row["step"], "state": row["state"], "run_id": row["run_id"], "at": row["finished_at"], "why": reason_of(row),
            "made_of": (row["detail"] or {}).get("made_of", {}),
        }
        for row in rows if name in (None, row["step"], row["name"])
    ]  # fmt: skip


def reason_of(row: StepRow) -> str:
    """Return why a step ran, rested or failed."""
    detail = row["detail"] or {}
    if row["state"] == "failed":
        return f"failed: {(row['error'] or {}).get('what', 'no reason is known')}"
    return str(detail.get("because") or detail.get("why") or "no reason is known: an older caudal ran it")
