"""The gate fair: figures of the chosen candidate's test rows, against a limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import caudal as cd
from caudal.batch.steps.audit import Counting
from caudal.declarations.audit import Audit
from caudal.declarations.model import Model, hashed
from caudal.declarations.node import Features
from caudal.errors import DeclarationProblem
from caudal.stages.audit.audited import audited
from caudal.stages.gates.evidence import GateResult
from caudal.stages.train import train

FEATURES = Features("requests", (), entity=("person",), as_of="", labels=("repaid",), keep=("sex", "town"))


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 1200
    sex = rng.choice(["f", "m"], n)
    income = rng.normal(np.where(sex == "m", 52.0, 44.0), 9.0)
    repaid = np.where(income + rng.normal(0, 5, n) > 48, "yes", "no")
    town = np.where(np.arange(n) < 40, "small", "large")
    return pd.DataFrame({"person": range(n), "income": income, "sex": sex, "town": town, "repaid": repaid})


def model(gates: tuple[Any, ...] = (), **more: Any) -> Model:
    told: dict[str, Any] = {
        "candidates": {"chosen": LogisticRegression()}, "metric": "accuracy", "task": "classification", "label": "repaid", **more,
    }  # fmt: skip
    return Model("lend", "requests", horizon_s=0.0, split=hashed(0.5, folds=2), gates=gates, **told)


def result(people: pd.DataFrame, gate: Any, **more: Any) -> GateResult:
    (found,) = train(model((gate,), **more), FEATURES, people).gates
    return found


def test_a_difference_between_groups_is_limited_by_its_figure_or_surely(people: pd.DataFrame) -> None:
    refused = result(people, cd.fair("demographic_parity_difference", "sex", at_most=0.1))
    value, low, high = (refused.figures[name] for name in ("value", "low", "high"))
    assert not refused.passed
    assert 0.1 < low < value < high
    assert refused.message == (
        f"chosen has demographic_parity_difference {value:.3f} (95%: {low:.3f} to {high:.3f}) over 'sex', selection_rate least for f, "
        "greatest for m: at most 0.1 required."
    )
    assert result(people, cd.fair("selection_rate", "sex", at_most=value + 0.001)).passed
    between = (low + value) / 2
    assert not result(people, cd.fair("selection_rate", "sex", at_most=between)).passed
    sure = result(people, cd.fair("selection_rate", "sex", at_most=between, sure=True))
    assert sure.passed
    assert "refused only where the whole interval is beyond it" in sure.message
    assert not result(people, cd.fair("selection_rate", "sex", at_most=low - 0.001, sure=True)).passed


def test_a_ratio_has_a_least_value(people: pd.DataFrame) -> None:
    refused = result(people, cd.fair("selection_rate", "sex", at_least=0.8))
    assert not refused.passed
    assert refused.figures["metric"] == "selection_rate_ratio"
    assert result(people, cd.fair("demographic_parity_ratio", "sex", at_least=refused.figures["value"] - 0.001)).passed


def test_groups_of_few_rows_are_left_out_and_nothing_to_compare_is_no_pass(people: pd.DataFrame) -> None:
    both = result(people, cd.fair("accuracy", ["sex", "town"], at_most=0.9))
    assert both.passed
    assert both.figures["groups_left_out"] == 2
    assert both.message.endswith("2 groups under 100 rows left out.")
    alone = result(people, cd.fair("accuracy", "town", at_most=0.9))
    assert not alone.passed
    assert alone.message == "1 group of 'town' with at least 100 test rows: nothing to compare."
    # The gate and the audit count the same rows.
    counting = Counting.of(Audit("lend", ("sex",)), model(), people)
    train(model(), FEATURES, people, examine=counting.count)
    assert list(counting.counts) == ["baseline", "chosen"]
    of_audit = audited(counting.counts["chosen"], (["sex"],)).groupings[0].between["demographic_parity_difference"].figure
    of_gate = result(people, cd.fair("demographic_parity_difference", "sex", at_most=1.0)).figures
    assert (of_audit.value, of_audit.low, of_audit.high) == (of_gate["value"], of_gate["low"], of_gate["high"])


@pytest.mark.slow
def test_a_reference_and_a_positive_class_are_named(people: pd.DataFrame) -> None:
    beside = result(people, cd.fair("tpr", "sex", at_most=0.5, reference={"sex": "m"}))
    assert beside.passed
    assert "beside m:" in beside.message
    refused = result(people, cd.fair("selection_rate", "sex", at_most=0.01, positive="no"))
    assert "selection_rate least for m, greatest for f" in refused.message
    with pytest.raises(DeclarationProblem, match="takes the group 'male' of 'sex' as reference, which no row is of"):
        result(people, cd.fair("tpr", "sex", at_most=0.5, reference={"sex": "male"}))
    with pytest.raises(DeclarationProblem, match="'ja' as the positive class, which no row is of"):
        result(people, cd.fair("tpr", "sex", at_most=0.5, positive="ja"))
    three = people.assign(repaid=np.where(people["person"] % 3 == 0, "perhaps", people["repaid"]))
    assert "needs a positive class: give positive=" in result(three, cd.fair("tpr", "sex", at_most=0.5)).message
    assert result(three, cd.fair("tpr", "sex", at_most=0.9, positive="yes")).figures["value"] is not None
    assert result(three, cd.fair("accuracy", "sex", at_most=0.9)).passed


def test_a_regression_is_judged_by_its_errors(people: pd.DataFrame) -> None:
    amounts = people.assign(repaid=people["income"] * 2 + np.where(people["sex"] == "f", 5.0, 0.0))
    options = {"candidates": {"chosen": LinearRegression()}, "metric": "mae", "task": "regression"}
    refused = result(amounts, cd.fair("bias", "sex", at_most=1.0), **options)
    assert not refused.passed
    assert refused.figures["value"] == pytest.approx(4.0, abs=1.0)
    assert result(amounts, cd.fair("mae", "sex", at_most=3.0), **options).passed


def test_a_constant_answer_has_what_value_there_is(people: pd.DataFrame) -> None:
    constant = {"candidates": {"chosen": DummyClassifier(strategy="constant", constant="no")}}
    assert result(people, cd.fair("selection_rate", "sex", at_most=0.1), **constant).passed
    nothing = result(people, cd.fair("precision", "sex", at_most=0.1), **constant)
    assert not nothing.passed
    assert "precision_difference has no value over 'sex'" in nothing.message


def test_wrong_groups_are_told_before_anything_is_trained(people: pd.DataFrame) -> None:
    with pytest.raises(DeclarationProblem, match="groups rows by 'sexx', which features 'requests' do not have"):
        Counting.of(Audit("lend", ("sexx",)), model(), people)
    with pytest.raises(DeclarationProblem, match="'income', which has 1,200 values; at most 100 groups are compared"):
        Counting.of(Audit("lend", ("income",)), model(), people)
    with pytest.raises(DeclarationProblem, match="takes the group 'x' of 'sex' as reference, which no row is of"):
        Counting.of(Audit("lend", ("sex",), reference={"sex": "x"}), model(), people)
    counting = Counting.of(Audit("lend", ("sex",), positive="ja"), model(), people)
    with pytest.raises(DeclarationProblem, match="'ja' as the positive class"):
        train(model(), FEATURES, people, examine=counting.count)
