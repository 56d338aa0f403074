"""Metrics against scikit-learn's, and the direction that is better."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from caudal.errors import DeclarationProblem
from caudal.stages.metrics.scores import METRICS, better, error_metric, gain, require_metric, scores


def test_regression_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    actual, said = pd.Series(rng.normal(5, 2, 300)), rng.normal(5, 2, 300)
    found = scores("regression", actual, pd.DataFrame({"prediction": said}), None)
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(actual, said))
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(actual, said))
    assert found["mape"] == pytest.approx(reference.mean_absolute_percentage_error(actual, said))
    assert found["r2"] == pytest.approx(reference.r2_score(actual, said))


def test_shares_of_nothing_are_left_out():
    found = scores("regression", pd.Series([0.0, 2.0]), pd.DataFrame({"prediction": [1.0, 1.0]}), None)
    assert found["mape"] == 0.5
    assert scores("regression", pd.Series([0.0]), pd.DataFrame({"prediction": [1.0]}), None)["mape"] is None


@pytest.mark.parametrize("label", [0.1, 1e100, -7.3, 0.0])
@pytest.mark.parametrize("rows", [1, 3, 6, 7, 1000])
def test_equal_labels_have_no_variance_to_explain(label, rows):
    said = pd.DataFrame({"prediction": np.linspace(0, 1, rows)})
    assert scores("regression", pd.Series([label] * rows), said, None)["r2"] is None


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_classification_agrees_with_scikit_learn(classes):
    rng = np.random.default_rng(2)
    actual = pd.Series(rng.choice(classes, 200), dtype=object)
    share = rng.dirichlet(np.ones(len(classes)), 200)
    said = pd.DataFrame(
        {
            "prediction": np.asarray(classes, object)[share.argmax(1)],
            **{f"probability_{c}": share[:, i] for i, c in enumerate(classes)},
        }
    )
    found = scores("classification", actual, said, classes)
    binary = len(classes) == 2
    assert found["log_loss"] == pytest.approx(reference.log_loss(actual, share, labels=list(classes)))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(actual, said.prediction))
    assert found["error_rate"] == pytest.approx(1 - found["accuracy"])
    assert found["f1"] == pytest.approx(
        reference.f1_score(actual, said.prediction, **({"pos_label": "yes"} if binary else {"average": "macro"}))
    )
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(actual, share[:, 1] if binary else share, multi_class="ovr"))


def test_a_class_that_was_not_learned_had_no_chance():
    said = pd.DataFrame({"prediction": ["a", "a"], "probability_a": [1.0, 1.0]})
    found = scores("classification", pd.Series(["a", "b"], dtype=object), said, ("a", "b"))
    assert found["log_loss"] > 15
    assert scores("classification", pd.Series(["a", "b"], dtype=object), said[["prediction"]], ("a", "b"))["log_loss"] is None


def test_every_metric_says_which_direction_is_better():
    assert {name: better(name) for known in METRICS.values() for name in known}["roc_auc"] == "higher"
    assert gain("mae", 12, 10) == pytest.approx(-0.2)
    assert gain("r2", 0.1, -0.1) == pytest.approx(2.0)
    assert gain("mae", 0, 0) == 0
    assert gain("accuracy", 0.5, 0) == float("inf")
    assert error_metric("r2", "regression") == "mae"
    assert error_metric("roc_auc", "classification") == "error_rate"


def test_an_unknown_metric_names_the_nearest(declared):
    with pytest.raises(DeclarationProblem, match="mean 'rmse'"):
        require_metric(declared(), "rsme")
