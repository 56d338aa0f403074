"""``caudal status --why``: why each step ran or rested the last time, told by the ledger."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.commands.status import product_name, products
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import steps
from caudal.ledger.rows import StepRow
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import WhyDocument, WhyStep


def explained(settings: Settings, about: Path | None) -> WhyDocument:
    """Return why steps ran or rested the last time that they came up: of all products, of one, or one step.

    Parameters
    ----------
    about : a product's folder or name, ``PRODUCT/STEP``, or a step such as ``table:trips``
    """
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        among = products(ledger)
        product, name = _meant(about, among)
        document = {each: _steps(ledger, each, name) for each in among if product in (None, each)}
        if name is not None and not any(document.values()):
            known = [row["step"] for each in document for row in _steps(ledger, each, None)]
            raise NotThere(
                f"No step '{name}' has run in {home.path}.",
                nearest=nearest(name, known),
                fix=f"There are: {', '.join(known) or 'none'}.",
            )
        return {"home": str(home.path), "products": [{"product": each, "steps": rows} for each, rows in document.items()]}


def _meant(about: Path | None, among: list[str]) -> tuple[str | None, str | None]:
    if about is None:
        return None, None
    if (about if about.suffix == ".py" else about / "product.py").is_file():
        return product_name(about), None
    text, above = about.name, about.parent
    if text in among and str(above) == ".":
        return text, None
    if str(above) == ".":
        return None, text
    product = str(above) if str(above) in among else product_name(above)
    return product, text


def _steps(ledger: Ledger, product: str, name: str | None) -> list[WhyStep]:
    newest = {row["step"]: row for row in ledger.find(steps, product=product) if row["state"] != "running"}
    rows = sorted(newest.values(), key=lambda row: row["id"])
    return [
        {
            "step": row["step"], "state": row["state"], "run_id": row["run_id"], "at": row["finished_at"], "why": _said(row),
            "made_of": (row["detail"] or {}).get("made_of", {}),
        }
        for row in rows if name in (None, row["step"], row["name"])
    ]  # fmt: skip


def _said(row: StepRow) -> str:
    detail = row["detail"] or {}
    if row["state"] == "failed":
        return f"failed: {(row['error'] or {}).get('what', 'no reason is known')}"
    return str(detail.get("because") or detail.get("why") or "no reason is known: an older caudal ran it")
