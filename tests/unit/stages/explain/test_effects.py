"""Importance and partial dependence, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression

from caudal.stages.explain.effects import BUDGET, effects


def world(rows: int = 600) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"big": rng.normal(size=rows), "small": rng.normal(size=rows), "none": rng.normal(size=rows)})
    return frame, 5 * frame["big"] + frame["small"] + rng.normal(0, 0.1, rows)


def mae(label: pd.Series, predicted: pd.DataFrame) -> float:
    return float((label - predicted["prediction"]).abs().mean())


def test_importance_is_scikit_learns_within_chance() -> None:
    frame, label = world()
    forest = RandomForestRegressor(30, random_state=0).fit(frame, label)
    asked: list[int] = []

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        asked.append(len(rows))
        return pd.DataFrame({"prediction": forest.predict(rows[list(frame)])})

    found = effects(predict, mae, frame, label, list(frame), lower=True, classes=None, seed=1)
    theirs = permutation_importance(forest, frame, label, scoring="neg_mean_absolute_error", n_repeats=10, random_state=0)
    assert [effect.name for effect in found] == ["big", "small", "none"]
    for effect in found:
        expected = theirs.importances_mean[list(frame).index(effect.name)]
        assert effect.importance == pytest.approx(expected, rel=0.15, abs=0.02)
        assert effect.rows == 600
    assert len(asked) == 2, "two calls, so that Spark's models start two jobs"
    assert asked[0] <= BUDGET + 600
    again = effects(predict, mae, frame, label, list(frame), lower=True, classes=None, seed=1)
    assert again == found


def test_an_input_that_is_not_used_has_no_importance_and_a_line_is_a_line() -> None:
    frame, label = world()
    line = LinearRegression().fit(frame[["big", "small"]], label)
    found = {
        effect.name: effect
        for effect in effects(
            lambda rows: pd.DataFrame({"prediction": line.predict(rows[["big", "small"]])}),
            lambda label, predicted: -mae(label, predicted),
            frame, label, list(frame), lower=False, classes=None, seed=0,
        )
    }  # fmt: skip
    assert (found["none"].importance, found["none"].dependence) == (0.0, None)
    dependence = found["big"].dependence
    assert dependence is not None
    slope = np.polyfit(np.array(dependence.values, float), dependence.predictions["prediction"], 1)[0]
    assert slope == pytest.approx(line.coef_[0])
    averaged = frame.iloc[np.sort(np.random.default_rng(0).permutation(600)[:600])].head(200)[["big", "small"]]
    grid = {0: np.array(dependence.values, float)}
    theirs = partial_dependence(line, averaged, [0], custom_values=grid, kind="average", method="brute")
    assert list(dependence.predictions["prediction"]) == pytest.approx(theirs["average"][0].tolist())


def test_classes_texts_and_booleans_have_their_values() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"zone": rng.choice(["A", "B", "C"], 300), "rush": rng.random(300) < 0.5})
    frame.loc[0, "zone"] = None
    label = pd.Series(np.where((frame["zone"] == "C") | frame["rush"], "late", "early"))

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        late = ((rows["zone"] == "C") | rows["rush"].astype(bool)).astype(float)
        return pd.DataFrame(
            {"prediction": np.where(late > 0, "late", "early"), "probability_early": 1 - late, "probability_late": late}
        )

    found = {
        effect.name: effect.dependence
        for effect in effects(
            predict, lambda label, predicted: float((label == predicted["prediction"]).mean()), frame, label, ["zone", "rush"],
            lower=False, classes=("early", "late"), seed=0,
        )
    }  # fmt: skip
    assert found["zone"] is not None
    assert found["rush"] is not None
    assert found["zone"].values == ("A", "B", "C")
    assert found["zone"].predictions["late"][2] == 1.0
    assert found["rush"].values == (False, True)
    assert list(found["rush"].predictions) == ["late"], "of two classes one says all"


def test_too_many_inputs_for_the_budget_have_no_effects() -> None:
    frame = pd.DataFrame(np.zeros((500, 400)), columns=[f"c{number}" for number in range(400)])
    assert effects(lambda rows: rows, mae, frame, frame["c0"], list(frame), lower=True, classes=None, seed=0) == ()
