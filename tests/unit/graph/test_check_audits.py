"""check: audits, fair gates and mitigated candidates that bind to nothing are refused before anything runs, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import caudal as cd
from caudal import expect as ex
from caudal.errors import DeclarationProblem
from caudal.graph.build import build
from caudal.graph.check import check

COLUMNS = cd.schema(person="string", income="double", sex="string", town="string", repaid="string", amount="double")


def product(audit: dict[str, Any] | None = None, *, regression: bool = False, **options: Any) -> cd.Product:
    declared = cd.Product("p")
    declared.source("raw", cd.files("*.csv"), schema=COLUMNS)

    @declared.features(
        entity="person",
        labels=["repaid", "amount"],
        keep=["town"],
        schema=COLUMNS,
        expect=[ex.one_of("sex", "f", "m").quarantine()],
    )
    def ready(raw: Any) -> Any: ...

    asked: dict[str, Any] = {
        "label": "amount" if regression else "repaid", "task": "regression" if regression else "classification",
        "candidates": {"linear": LinearRegression() if regression else LogisticRegression()}, "split": cd.hashed(), **options,
    }  # fmt: skip
    model = declared.model("m", features=ready, **asked)
    if audit is not None:
        declared.audit(**{"model": model, "by": ["sex", "town"], **audit})
    return declared


def sentences(declared: cd.Product) -> list[str]:
    return [problem.sentence() for problem in check(declared)]


def test_what_is_declared_well_has_no_problem() -> None:
    gates = [
        cd.fair("tpr", "sex", at_most=0.1),
        cd.fair("demographic_parity_ratio", ["sex", "town"], at_least=0.8, reference={"sex": "m"}),
    ]
    candidates = {
        "weighted": cd.reweigh(LogisticRegression(), by=["sex", "town"]), "thresholds": cd.group_thresholds(LogisticRegression(), by="sex"),
        "reduced": cd.reduction(LogisticRegression(), by="town", constraint="equalized_odds"),
    }  # fmt: skip
    reference = {"sex": "f"}
    sound = product(
        {"reference": reference, "metrics": ["tpr", "tpr_difference", "equalized_odds_difference"]},
        gates=gates,
        candidates=candidates,
    )
    assert sentences(sound) == []
    assert (
        sentences(product({"metrics": ["mae", "bias_difference"]}, regression=True, gates=[cd.fair("mae", "sex", at_most=3)])) == []
    )


def test_it_is_a_node_after_its_model() -> None:
    graph = build(product({}))
    assert graph.nodes["audit:m"].needs == ("m",)
    assert graph.order().index("audit:m") > graph.order().index("m")


@pytest.mark.parametrize(
    ("audit", "options", "what", "nearest"),
    [
        ({"model": "mm"}, {}, "Model 'mm' is to be audited, but nothing declares it", "m"),
        ({"by": "sexx"}, {}, "groups rows by 'sexx', and features 'ready' have no such column", "sex"),
        ({"by": "person"}, {}, "groups rows by 'person', which is the key", None),
        ({"by": "repaid"}, {}, "groups rows by 'repaid', which is the label", None),
        ({"metrics": ["trp"]}, {}, "asks for the metric 'trp', which there is not", "tpr"),
        ({"metrics": ["mae"]}, {}, "'mae', which is for a regression, and the model's task is classification", None),
        ({"metrics": ["tpr"]}, {"regression": True}, "'tpr', which is for a classification, and the model's task is regression", None),
        ({"positive": "yes"}, {"regression": True}, "has a positive class, 'yes', and the model's task is regression", None),
        ({"reference": {"swx": "m"}}, {}, "has a reference of 'swx', which by= does not name", "sex"),
        ({"reference": {"sex": "male"}}, {}, "takes the group 'male' of 'sex' as reference, which features 'ready' expect no row to be of", None),
        (None, {"gates": [cd.fair("tpr", "sexx", at_most=0.1)]}, "names 'sexx' in gate fair", "sex"),
        (None, {"gates": [cd.fair("mae", "sex", at_most=1)]}, "is to be fair to the groups of 'sex' by 'mae', a metric of regression", None),
        (None, {"candidates": {"c": cd.reweigh(LogisticRegression(), by="sexx")}}, "Candidate 'c' of model 'm' groups rows by 'sexx'", "sex"),
        (
            None, {"candidates": {"c": cd.group_thresholds(LogisticRegression(), by="town")}},
            "needs each row's 'town' when it predicts, and in features 'ready' that is no input", None,
        ),
    ],
)  # fmt: skip
def test_what_binds_to_nothing_is_one_sentence(audit: Any, options: dict[str, Any], what: str, nearest: str | None) -> None:
    found = [problem for problem in check(product(audit, **options)) if what in problem.what]
    assert len(found) == 1, sentences(product(audit, **options))
    assert found[0].nearest == nearest


def test_a_column_of_a_key_of_several_is_a_group_and_a_time_is_none() -> None:
    def by(column: str) -> list[str]:
        declared = cd.Product("p")
        columns = cd.schema(zone="string", at="timestamp", trips="double", before="double")
        declared.source("raw", cd.files("*.csv"), schema=columns)

        @declared.features(entity="zone", as_of="at", labels=["trips"], schema=columns)
        def demand(raw: Any) -> Any: ...

        model = declared.model(
            "m", features=demand, label="trips", candidates={"linear": LinearRegression()}, split=cd.temporal("1 day")
        )
        declared.audit(model, by=column)
        return sentences(declared)

    assert by("zone") == []
    assert any("groups rows by 'at', which is the time of each row" in sentence for sentence in by("at"))


def test_a_person_is_no_group() -> None:
    declared = product({}, gates=[cd.fair("tpr", "town", at_most=0.1)])
    declared.subject("town")
    problems = sentences(declared)
    assert any("The audit of model 'm' groups rows by 'town', which identifies a person" in sentence for sentence in problems)
    assert any("Gate fair of model 'm' groups rows by 'town', which identifies a person" in sentence for sentence in problems)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda: product({"by": []}), "names no column"),
        (lambda: product({"by": ["sex", "sex"]}), "names a column twice"),
        (lambda: product({"reference": "biggest"}), "has the reference 'biggest'"),
        (lambda: product({"min_rows": 0}), "has min_rows=0"),
        (lambda: product({}).audit("m", "sex"), "Model 'm' is audited twice"),
        (lambda: cd.fair("trp", "sex", at_most=0.1), "given the metric 'trp'"),
        (lambda: cd.fair("tpr", "sex"), "needs exactly one limit"),
        (lambda: cd.fair("tpr", "sex", at_most=0.1, at_least=0.8), "needs exactly one limit"),
        (lambda: cd.fair("demographic_parity_ratio", "sex", at_most=0.8), "given at_most= for 'demographic_parity_ratio', which is a ratio"),
        (lambda: cd.fair("equalized_odds_difference", "sex", at_least=0.8), "given at_least= for 'equalized_odds_difference'"),
        (lambda: cd.fair("tpr", "sex", at_most=0.1, reference={"race": "White"}), "a reference of 'race', which by= does not name"),
    ],
)  # fmt: skip
def test_what_cannot_be_declared_is_one_sentence(wrong: Any, what: str) -> None:
    with pytest.raises(DeclarationProblem, match=what):
        wrong()
