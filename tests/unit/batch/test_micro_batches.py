"""What a stream of rows does with each micro-batch."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import LinearRegression

import caudal as cd
from caudal.batch.micro_batches import following_steps, untrained_steps
from caudal.batch.plan import plan


def test_tables_and_online_views_follow_messages_and_predictions_wait() -> None:
    product = cd.Product("p")
    schema = cd.schema(id="long", at="timestamp", fare="double")
    product.source("raw", cd.events("raw", schema=schema), event_time="at")
    product.source("zones", cd.files("*.csv"), schema=schema)

    @product.features(entity="id", as_of="at", labels=["fare"])
    def ready(raw: Any) -> Any: ...

    @product.features(entity="id", as_of="at", labels=["fare"])
    def of_files(zones: Any) -> Any: ...

    for features in (ready, of_files):
        model = product.model(
            f"m_{features.__name__}",
            features=features,
            label="fare",
            candidates={"c": LinearRegression()},
            split=cd.temporal(test="1 day"),
        )
        product.predict(model, rows="all")
        product.serve(model, lookup=True)
    steps = untrained_steps(plan(product))
    assert {"lookup:m_ready", "lookup:m_of_files"} <= {step.name for step in steps}
    following = [step.name for step in following_steps(steps, {"land:raw"})]
    assert following == ["land:raw", "read:raw", "features:ready", "lookup:m_ready"]
