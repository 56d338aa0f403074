"""``caudal model``: versions and decisions, from the ledger."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from caudal import registry
from caudal.commands.status import known_products, resolve_product
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions
from caudal.ledger.rows import DecisionRow
from caudal.registry.card import Listed, VersionCard
from caudal.runtime.lifecycle import user_name
from caudal.runtime.opening import open_home
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.report.documents import HistoryLine, VersionDocument


def list_models(settings: Settings, product: str | None = None) -> list[VersionDocument]:
    """Return every model version with its score and whether it is in production."""
    with opened_ledger(settings) as (home, ledger):
        names = [resolve_product(home, ledger, product)] if product else known_products(ledger)
        return [_version_line(row) for name in names for row in registry.list_versions(ledger, name)]


def model_card(settings: Settings, model: str, version: int | None, product: str | None = None) -> VersionCard:
    """Return the card of a model version; of the champion when ``version`` is None."""
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        return registry.card(ledger, name, model, version)


def promote_version(settings: Settings, model: str, version: int, reason: str, product: str | None = None) -> DecisionRow:
    """Put a version into production by hand."""
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        return registry.promote(ledger, name, model, version, gates=[], who=user_name(), reason=reason)


def rollback_version(settings: Settings, model: str, to: int | None, reason: str, product: str | None = None) -> DecisionRow:
    """Put an earlier version back into production: the previous champion when ``to`` is None."""
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        return registry.rollback(ledger, name, model, to, who=user_name(), reason=reason)


def decision_history(settings: Settings, model: str, product: str | None = None) -> list[HistoryLine]:
    """Return every decision on a model, oldest first."""
    with opened_ledger(settings) as (home, ledger):
        name, model = model_of(home, ledger, model, product)
        return [
            {**row, "at": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at"]))}
            for row in registry.history(ledger, name, model)
        ]


def _version_line(row: Listed) -> VersionDocument:
    """Return a version's row with its score under one name, for a table on the terminal."""
    metrics = row["metrics"] or {}
    metric = next((name.removesuffix("_spread") for name in metrics if name.endswith("_spread")), None)
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created_at"]))
    return {
        **row,
        "metric": metric,
        "score": metrics.get(str(metric)),
        "spread": metrics.get(f"{metric}_spread"),
        "created": created,
    }


@contextlib.contextmanager
def opened_ledger(settings: Settings) -> Iterator[tuple[Home, Ledger]]:
    """Open the home and its ledger for the block."""
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        yield home, ledger


def model_of(home: Home, ledger: Ledger, model: str, product: str | None) -> tuple[str, str]:
    """Return product and model; without ``product``, the only product that has a model of that name."""
    products_with_model = sorted({row["product"] for row in ledger.find(model_versions, model=model)})
    if product is None and len(products_with_model) == 1:
        return products_with_model[0], model
    name = resolve_product(home, ledger, product)
    models = sorted({row["model"] for row in ledger.find(model_versions, product=name)})
    if model not in models:
        raise NotThere(
            f"Product '{name}' has no model '{model}'.",
            nearest=nearest(model, models),
            fix=f"It has {', '.join(models) or 'none yet'}.",
        )
    return name, model
