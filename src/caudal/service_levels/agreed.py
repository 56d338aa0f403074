"""The agreements of a product, as it declares them or as its last run has stored them in the ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

from caudal.declarations.product import Product
from caudal.declarations.service_levels import Agreement, ServiceLevel, working_hours
from caudal.graph.service_levels import SubjectKind, subject_kind
from caudal.json_value import JsonObject
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import declarations


@dataclass(frozen=True)
class Agreed:
    """The agreements of a product with the kinds of their subjects; ``tz`` is the time zone of working hours and days."""

    product: str
    tz: str
    agreements: tuple[tuple[Agreement, SubjectKind], ...]


def agreed_of(product: Product, *, simple: bool = True) -> Agreed:
    """Return the agreements that a product declares, those of the simple form among them."""
    declared = product.service_levels if simple else product.agreements
    kinds = ((agreement, subject_kind(product, agreement.subject)) for agreement in declared)
    return Agreed(product.name, product.tz, tuple((agreement, kind) for agreement, kind in kinds if kind is not None))


def stored_agreed(ledger: Ledger, product: str) -> Agreed | None:
    """Return the agreements that a product's last run has stored; None where there are none."""
    newest = ledger.find(declarations, product=product, newest=True, limit=1)
    document = cast("dict[str, Any]", newest[0]["document"]) if newest else {}
    agreements = tuple(_agreement(entry) for entry in document.get("service_levels", ()))
    return Agreed(product, document["tz"], agreements) if agreements else None


def agreement_documents(product: Product) -> list[JsonObject]:
    """Return the agreements of a product, ready for JSON, as `stored_agreed` reads them."""
    return [
        {
            "subject": agreement.subject, "kind": kind, "simple": agreement.simple,
            **{name: value for name, value in asdict(agreement.level).items() if value is not None and name != "hours"},
            **({"hours": agreement.level.hours.text} if agreement.level.hours else {}),
        }
        for agreement, kind in agreed_of(product).agreements
    ]  # fmt: skip


def _agreement(entry: dict[str, Any]) -> tuple[Agreement, SubjectKind]:
    terms = {name: value for name, value in entry.items() if name not in ("subject", "kind", "simple", "hours")}
    hours = working_hours(entry["hours"]) if "hours" in entry else None
    return Agreement(entry["subject"], ServiceLevel(**terms, hours=hours), simple=entry["simple"]), entry["kind"]
