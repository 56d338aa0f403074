"""check: what a model asks for and does not get is refused before anything runs, with the nearest right name."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

import caudal as cd
from caudal.declarations.metrics import METRICS, needs_probabilities
from caudal.graph.check import check
from caudal.graph.kinds.model import KIND

CLOSED = cd.schema(at="timestamp", zone="string", fare="double", tip="double", borough="string")


def product(
    *, label: str = "fare", as_of: str | None = "at", rows: str = "all", partition: Any = None, **options: Any
) -> cd.Product:
    declared = cd.Product("p")
    declared.source("raw", cd.files("*.csv"), schema=CLOSED, event_time="at")

    @declared.features(
        entity="zone", as_of=as_of, labels=["fare"], keep=["borough"], schema=CLOSED, partition=partition, event_time="at"
    )
    def ready(raw: Any) -> Any: ...

    asked: dict[str, Any] = {
        "candidates": {"linear": LinearRegression()},
        "split": cd.temporal(test="1 day") if as_of else cd.hashed(),
        "label": label,
        **options,
    }
    model = declared.model("m", features=ready, **asked)
    declared.predict(model, rows=rows)
    return declared


def sentences(declared: cd.Product) -> list[str]:
    return [problem.sentence() for problem in check(declared)]


def test_a_model_that_asks_for_what_is_there_has_no_problem() -> None:
    sound = {"gates": [cd.beats_baseline(), cd.beats("linear"), cd.limit("rmse", 3), cd.parity("borough")], "group_by": ["zone"]}
    assert sentences(product(**sound)) == []
    assert sentences(product(as_of=None, split=cd.hashed(by="borough"))) == []


CLASSES = {"task": "classification", "candidates": {"c": LogisticRegression()}}


@pytest.mark.parametrize(
    ("options", "what", "nearest"),
    [
        ({"select": "best_worts"}, "select='best_worts', which is no selection rule", "best_worst"),
        ({"select": cd.best_mean}, "select='best_mean', which is no selection rule", "best_mean"),
        ({"select": cd.simplest_within(order=["linaer"])}, "names the candidate 'linaer', which there is not", "linear"),
        ({"metric": "msa"}, "asks for the metric 'msa' (metric=), which there is not", "mae"),
        ({"metric": "accuracy"}, "'accuracy' (metric=), which is one of classification, and its task is regression", None),
        ({"gates": [cd.limit("rmsee", 3)]}, "'rmsee' (gate limit), which there is not", "rmse"),
        ({"gates": [cd.limit("roc_auc", 0.7)]}, "'roc_auc' (gate limit), which is one of classification", None),
        ({**CLASSES, "metric": "accuracy", "gates": [cd.limit("mae", 3)]}, "'mae' (gate limit), which is one of regression", None),
        ({"gates": [cd.beats("liner")]}, "there is no candidate 'liner'", "linear"),
        ({"gates": [cd.parity("boroug")]}, "names 'boroug' in gate parity", "borough"),
        ({"group_by": ["zon"]}, "names 'zon' in group_by=", "zone"),
        ({"split": cd.hashed(by="zoneo")}, "names 'zoneo' in its split", "zone"),
        ({"label": "fair"}, "is to learn 'fair'", "fare"),
        ({"task": "regresion", "metric": "mae"}, "has the task 'regresion'", "regression"),
        ({"candidates": {"x": object()}}, "has no fit and no predict and no get_params", None),
        ({"task": "classification", "candidates": {"x": LinearRegression()}}, "a regressor, and the model's task is classification", None),
        ({"task": "classification", "candidates": {"x": LinearSVC()}}, "gives no probabilities, and log_loss is made of them", None),
        (
            {"task": "classification", "metric": "accuracy", "candidates": {"x": LinearSVC()}, "gates": [cd.limit("roc_auc", 0.7)]},
            "gives no probabilities, and roc_auc is made of them",
            None,
        ),
    ],
)  # fmt: skip
def test_what_binds_to_nothing_is_refused(options: dict[str, Any], what: str, nearest: str | None) -> None:
    problems = check(product(**options))
    (problem,) = [one for one in problems if what in one.what]
    assert problem.nearest == nearest
    assert __file__.rsplit("/", 1)[-1] in str(problem.where)


def test_a_form_that_names_no_input() -> None:
    declared = product()
    declared.serve("m", fields={"tipp": {"label": "Tip"}, "borough": {"label": "kept, and so no input"}})
    found = sentences(declared)
    assert any("names 'tipp' in the fields=" in one and "Did you mean 'tip'?" in one for one in found)
    assert any("names 'borough' in the fields=" in one for one in found)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"split": cd.temporal(test="1 day")}, "splits over time (cd.temporal), and features 'ready' have no as_of"),
        ({"horizon": "1 hour"}, "has a horizon"),
        ({"max_rows": 10}, "newest 10 rows"),
        ({"rows": "latest"}, "latest row of each entity"),
        ({"partition": "day"}, "have no as_of, and are to be partitioned by day"),
    ],
)
def test_without_as_of_nothing_may_ask_for_an_order(options: dict[str, Any], what: str) -> None:
    assert any(what in one for one in sentences(product(as_of=None, **options)))


class Odd(BaseEstimator):  # type: ignore[misc]
    """An estimator of the user's own, whose tags cannot be made."""

    def __sklearn_tags__(self) -> Any:
        raise NotImplementedError

    def fit(self, x: Any, y: Any) -> Odd:
        return self

    def predict(self, x: Any) -> Any: ...


def test_an_estimator_of_the_users_own_is_left_to_training() -> None:
    assert sentences(product(task="classification", metric="accuracy", candidates={"odd": Odd()})) == []
    assert sentences(product(candidates={"made": lambda: LinearRegression(), "class": LinearRegression})) == []


def test_metrics_of_probabilities_are_metrics() -> None:
    assert [name for metrics in METRICS.values() for name in metrics if needs_probabilities(name)] == ["log_loss", "roc_auc"]


@pytest.mark.parametrize(
    ("options", "what", "nearest"),
    [
        ({"holdout": cd.holdout(table="raws")}, "holds out the rows of 'raws', which nothing declares", "raw"),
        ({"holdout": cd.holdout(table="ready")}, "holds out the rows of 'ready', which are all that it learns from", None),
        ({"holdout": cd.holdout(flag="boroug")}, "names 'boroug' in its holdout", "borough"),
        ({"holdout": cd.holdout(flag="zone")}, "flags the rows of its holdout by 'zone', which is a key", None),
        ({"holdout": "2 days", "as_of": None, "split": cd.hashed()}, "holds the newest 2 days out, and features 'ready' have no as_of", None),
        ({"holdout": 500, "as_of": None, "split": cd.hashed()}, "holds the newest 500 rows out, and features 'ready' have no as_of", None),
        ({"as_of": None, "split": cd.temporal(test=500)}, "splits over time (cd.temporal)", None),
    ],
)  # fmt: skip
def test_a_holdout_that_cannot_be_is_refused(options: dict[str, Any], what: str, nearest: str | None) -> None:
    (problem,) = check(product(**options))
    assert what in problem.what
    assert problem.nearest == nearest
    assert problem.where is not None


def test_the_table_of_a_holdout_has_the_columns_of_the_features() -> None:
    declared = product(holdout=cd.holdout(table="later"))

    @declared.table(schema=cd.schema(at="timestamp", zone="string", fare="double", tips="double"))
    def later(raw: Any) -> Any: ...

    (problem,) = check(declared)
    assert "table 'later' of its holdout, which has no column 'tip'" in problem.what
    assert problem.nearest == "tips"
    assert sentences(product(holdout=cd.holdout(table="raw"))) == []


def test_the_usual_rule_is_no_other_declaration_than_none() -> None:
    def identity(**options: Any) -> Any:
        return KIND.identity(product(**options).models["m"])

    assert len(identity()) == len(identity(select=cd.best_mean()))
    assert identity(select=cd.best_worst())[-1] == ["best_worst", cd.best_worst()]
    assert identity(select=cd.most_stable(0.1))[-1] != identity(select=cd.most_stable())[-1]
