"""A product whose features are visits of a shop, for tests of its later steps; its code stands alone, since a fingerprint walks through all that a declaring file uses."""

from __future__ import annotations

from sklearn.linear_model import LinearRegression

import caudal as cd
from caudal.declarations.model import Model


def visits_product(**monitor: object) -> tuple[cd.Product, Model]:
    """Return a product with a monitored model of how long visitors stay, and that model."""
    product = cd.Product("shop")
    product.source("raw", cd.files("*.csv"))

    @product.features(entity="visit", as_of="at", labels=["minutes"], keep=["shop"], partition="day")
    def visits(raw: object) -> object:
        """One row per visit."""
        return raw

    model = product.model(
        "stay",
        features=visits,
        label="minutes",
        candidates={"linear": LinearRegression()},
        split=cd.temporal(test="5 days", folds=2),
    )
    product.predict(model)
    product.monitor(model, **monitor)  # type: ignore[arg-type]
    return product, model
