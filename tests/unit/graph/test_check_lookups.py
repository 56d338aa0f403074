"""check: a lookup that cannot be done is refused, with the reason and what would do."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

import caudal as cd
from caudal.graph.check import check
from caudal.graph.check_lookups import ORIGINS, problems_of_lookup_columns

RAW = cd.schema(id="long", at="timestamp", zone="string", fare="double")
ZONES = cd.schema(zone="string", title="string", fare_level="double")
READY = ["id", "at", "zone", "fare", "past_fare", "hour"]
COLUMNS = {"raw": ["id", "at", "zone", "fare"], "zones": ["zone", "title", "fare_level"], "ready": READY}
FOUND = {"ready": {"past_fare": ("at", "zone"), "hour": ("at",)}}


def product(**served: Any) -> cd.Product:
    declared = cd.Product("p")
    declared.source("raw", cd.files("*.csv"), schema=RAW, event_time="at")
    declared.source("zones", cd.files("zones.csv"), schema=ZONES)

    @declared.features(entity="id", as_of="at", labels=["fare"])
    def ready(raw: Any) -> Any: ...

    model = declared.model("m", features=ready, label="fare", candidates={"c": LinearRegression()}, split=cd.temporal(test="1 day"))
    declared.serve(model, **served)
    return declared


def said(declared: cd.Product, columns: Any = COLUMNS, found: Any = FOUND) -> list[str]:
    return [problem.sentence() for problem in problems_of_lookup_columns(declared, columns, found)]


NAMES = {"table": "zones", "key": "zone", "name": "title"}


@pytest.mark.parametrize(
    "served",
    [
        {"lookup": True},
        {"lookup": {"past_fare": "zone"}},
        {"lookup": True, "names": {"zone": NAMES}},
    ],
)
def test_what_can_be_looked_up_has_no_problem(served: dict[str, Any]) -> None:
    assert said(product(**served)) == []


def test_features_without_an_origin_bind_to_nothing() -> None:
    (sentence,) = said(product(lookup=True), found={})
    assert sentence.startswith(
        f"The lookup of model 'm' binds to nothing: no input of features 'ready' comes from {ORIGINS} as it is."
    )
    assert 'lookup={"a_feature": "its_key"}' in sentence


def test_what_is_not_known_yet_is_not_judged() -> None:
    assert said(product(lookup=True), columns={}, found={}) == []


@pytest.mark.parametrize(
    ("served", "what", "instead"),
    [
        ({"lookup": {"past_fair": "zone"}}, "binds 'past_fair' to a key, and that is no input of the model", "past_fare"),
        ({"lookup": {"past_fare": "zome"}}, "has the key 'zome', which is no column of 'ready'", "zone"),
        ({"lookup": {"past_fare": "id"}}, "finds 'past_fare' by id, and the features have made it by zone", "Give the key (zone)."),
        (
            {"lookup": {"zones": "zone"}},
            "binds to nothing: table 'zones' has no column that is an input of the model",
            "Name columns",
        ),
        ({"lookup": True, "names": {"zome": NAMES}}, "has names for 'zome', which is no input of its model", "zone"),
        (
            {"lookup": True, "names": {"zone": {**NAMES, "name": "titel"}}},
            "takes names from column 'titel' of 'zones', which has no such column",
            "title",
        ),
        (
            {"lookup": True, "names": {"zone": {**NAMES, "key": "zome"}}},
            "takes names from column 'zome' of 'zones', which has no such column",
            "zone",
        ),
    ],
)
def test_each_reason_is_said_with_what_would_do(served: dict[str, Any], what: str, instead: str) -> None:
    sentences = said(product(**served))
    assert any(f"The lookup of model 'm' {what}" in sentence and instead in sentence for sentence in sentences), sentences


def test_a_table_of_names_that_nothing_declares_is_answered_with_the_nearest() -> None:
    declared = product(lookup=True, names={"zone": {**NAMES, "table": "zone_s"}})
    sentences = [problem.sentence() for problem in check(declared)]
    assert any(
        "Names for 'zone' of model 'm' are to come from 'zone_s', which nothing declares." in sentence and "zones" in sentence
        for sentence in sentences
    ), sentences
