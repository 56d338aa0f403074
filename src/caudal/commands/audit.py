"""``caudal audit``: the figures of groups of a model version's test rows, from the ledger."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from caudal.commands.status import resolve_product
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions, steps
from caudal.report.audits import audit_of
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import AuditDocument


def audit(settings: Settings, product: str | None, model: str | None = None, version: int | None = None) -> AuditDocument:
    """Return the audit of a model's version, the newest audited one when ``version`` is None.

    Raises
    ------
    NotThere : no model of the product was audited, several were and none is named, or the version was not
    """
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        name = resolve_product(home, ledger, product)
        audits = _audited_versions(ledger, name)
        chosen = _model(ledger, name, model, audits)
        number = max(audits[chosen]) if version is None else version
        document = audit_of(ledger, name, chosen, number) if number in audits[chosen] else None
        if document is None:
            raise NotThere(
                f"Version {number} of model '{chosen}' of product '{name}' was not audited.",
                fix=f"Audited are: {', '.join(map(str, sorted(audits[chosen])))}.",
            )
        return document


def _audited_versions(ledger: Ledger, product: str) -> dict[str, set[int]]:
    """Return the numbers of the audited versions, by model."""
    versions: dict[str, set[int]] = {}
    for row in ledger.find(steps, product=product, kind="audit", state="succeeded"):
        if row["output_version"] is not None:
            versions.setdefault(row["name"], set()).add(int(row["output_version"]))
    return versions


def _model(ledger: Ledger, product: str, model: str | None, audits: dict[str, set[int]]) -> str:
    if model in audits:
        return model
    models = sorted({row["model"] for row in ledger.find(model_versions, product=product)})
    if model is None and len(audits) == 1:
        return next(iter(audits))
    if model is not None and model not in models:
        raise NotThere(
            f"Product '{product}' has no model '{model}'.",
            nearest=nearest(model, models),
            fix=f"It has {', '.join(models) or 'none yet'}.",
        )
    if model is None and audits:
        raise NotThere(
            f"Several models of '{product}' are audited: {', '.join(sorted(audits))}.",
            fix=f"Name one: caudal audit {product} MODEL.",
        )
    named = f"Model '{model}'" if model is not None else "No model"
    raise NotThere(
        f"{named} of product '{product}' {'was not' if model is not None else 'was'} audited.",
        fix=f'Declare it: product.audit("{model or "model"}", by=["sex"]), and run the product.',
    )
