"""Expected errors, held against what came out later: adult (probabilities), bikes (sizes of errors)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss, mean_absolute_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from caudal.stages.monitor.estimate import calibrated, expected_score, loss_model
from caudal.stages.monitor.performance import WINDOW, window_scores

DATA = Path(os.environ.get("CAUDAL_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
CLASSES = ["no", "yes"]


@pytest.fixture(scope="module")
def adult() -> dict[str, pd.DataFrame]:
    """Predictions of a classifier: past rows, and later rows of other ages than it learned from."""
    file = DATA / "adult" / "adult.csv"
    if not file.exists():
        pytest.skip("no data: adult")
    rows = pd.read_csv(file).sample(12_000, random_state=0, ignore_index=True)
    label = next(name for name in rows if rows[name].astype(str).str.contains(">50K").any())
    rows["rich"] = np.where(rows[label].astype(str).str.contains(">50K"), "yes", "no")
    numbers = rows.drop(columns=["rich", label]).select_dtypes("number").columns.tolist()
    words = [name for name in rows.drop(columns=["rich", label]) if name not in numbers]
    model = make_pipeline(
        make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), words)),
        LogisticRegression(max_iter=300),
    )
    model.fit(rows[:4000], rows["rich"][:4000])
    predicted = rows.assign(prediction=model.predict(rows))
    shares = model.predict_proba(rows)
    predicted["probability_no"], predicted["probability_yes"] = shares[:, 0], shares[:, 1]
    return {"past": predicted[4000:8000], "later": predicted[8000:]}


def test_the_expected_score_is_near_what_came_out(adult: dict[str, pd.DataFrame]) -> None:
    truth = {
        "accuracy": lambda rows: float((rows["prediction"] == rows["rich"]).mean()),
        "error_rate": lambda rows: float((rows["prediction"] != rows["rich"]).mean()),
        "log_loss": lambda rows: log_loss(rows["rich"], rows[["probability_no", "probability_yes"]]),
        "roc_auc": lambda rows: roc_auc_score(rows["rich"] == "yes", rows["probability_yes"]),
        "f1": lambda rows: f1_score(rows["rich"] == "yes", rows["prediction"] == "yes"),
    }
    later = adult["later"]
    age = next(name for name in later if name.startswith("age"))
    for rows in (
        later,
        later[later[age] < 30],
        later[later[age] > 45],
    ):  # the ages shift, the relation of inputs and label does not
        share = calibrated(adult["past"], "rich", CLASSES, rows)
        for metric, true in truth.items():
            expected = expected_score(metric, share, rows, CLASSES)
            assert expected == pytest.approx(true(rows), abs=0.06), metric
    young, old = (
        expected_score("accuracy", calibrated(adult["past"], "rich", CLASSES, rows), rows, CLASSES)
        for rows in (later[later[age] < 30], later[later[age] > 45])
    )
    assert young is not None
    assert old is not None
    assert young - old > 0.1  # what differs between them is seen, not only their mean


def test_calibration_corrects_probabilities_that_are_too_sure(adult: dict[str, pd.DataFrame]) -> None:
    past, later = (rows.copy() for rows in adult.values())
    for rows in (past, later):
        odds = (rows["probability_yes"] / rows["probability_no"]) ** 3
        rows["probability_yes"], rows["probability_no"] = odds / (1 + odds), 1 / (1 + odds)
    true = float((later["prediction"] == later["rich"]).mean())
    raw = expected_score("accuracy", later[["probability_no", "probability_yes"]].to_numpy(), later, CLASSES)
    corrected = expected_score("accuracy", calibrated(past, "rich", CLASSES, later), later, CLASSES)
    assert raw is not None
    assert raw - true > 0.05
    assert corrected == pytest.approx(true, abs=0.02)


def test_with_probabilities_that_are_certain_the_expected_scores_are_the_scores() -> None:
    random = np.random.default_rng(0)
    score = random.uniform(size=500).round(2)
    truth = (random.uniform(size=500) < score).astype(float)
    rows = pd.DataFrame({"probability_no": 1 - score, "probability_yes": score, "prediction": np.where(score > 0.5, "yes", "no")})
    share = np.column_stack([1 - truth, truth])
    assert expected_score("roc_auc", share, rows, CLASSES) == pytest.approx(roc_auc_score(truth, score))
    assert expected_score("f1", share, rows, CLASSES) == pytest.approx(f1_score(truth, score > 0.5))
    assert expected_score("r2", share, rows, CLASSES) is None
    assert expected_score("roc_auc", np.column_stack([truth * 0, truth * 0 + 1]), rows, CLASSES) is None


def test_the_expected_size_of_errors_is_near_what_came_out() -> None:
    file = DATA / "bike_sharing" / "hour_until_2012-06-04.csv"
    if not file.exists():
        pytest.skip("no data: bike_sharing")
    rows = pd.read_csv(file)
    inputs = ["hr", "weekday", "workingday", "temp", "hum", "windspeed"]
    model = HistGradientBoostingRegressor(max_iter=80, random_state=0).fit(rows[inputs][:5000], rows["cnt"][:5000])
    rows = rows.assign(prediction=model.predict(rows[inputs]))
    past = rows[5000:8000]
    for metric in ("mae", "rmse"):
        losses = loss_model(past, "cnt", inputs, metric)
        assert losses is not None
        night = rows[8000:][lambda part: part["hr"] < 6]
        day = rows[8000:][lambda part: part["hr"].between(8, 19)]
        for part in (night, day):
            error = (part["prediction"] - part["cnt"]).to_numpy()
            true = float(np.abs(error).mean()) if metric == "mae" else float(np.sqrt((error**2).mean()))
            assert 0.5 < losses.expected(part) / true < 1.5  # the second winter is busier than the first, which no input tells
        assert losses.expected(day) > 4 * losses.expected(night)
    assert loss_model(past[:100], "cnt", inputs, "mae") is None
    assert loss_model(past, "cnt", inputs, "mape") is None


def test_inputs_of_text_are_learned_from_and_new_ones_are_no_error() -> None:
    random = np.random.default_rng(1)
    kind = random.choice(["a", "b"], 2000)
    label = np.where(kind == "a", random.normal(0, 1, 2000), random.normal(0, 10, 2000))
    past = pd.DataFrame({"kind": kind, "y": label, "prediction": 0.0})
    losses = loss_model(past, "y", ["kind"], "mae")
    assert losses is not None
    assert losses.expected(past[past["kind"] == "b"]) > 5 * losses.expected(past[past["kind"] == "a"])
    assert losses.expected(past.assign(kind="c")) > 0


def test_scores_by_window_and_group_and_the_operating_point() -> None:
    random = np.random.default_rng(2)
    rows = pd.DataFrame({
        WINDOW: np.repeat([0, 1, 2], 100), "sex": random.choice(["f", "m"], 300), "prediction": random.choice(CLASSES, 300),
        "rich": random.choice(CLASSES, 300).astype(object),
    })  # fmt: skip
    rows.loc[rows[WINDOW] == 2, "rich"] = None
    rows["probability_yes"] = np.where(rows["prediction"] == "yes", 0.8, 0.2)
    rows["probability_no"] = 1 - rows["probability_yes"]
    found = list(window_scores(rows, label="rich", task="classification", metric="accuracy", classes=CLASSES, by=["sex"]))
    by_key = {(score.start, score.metric, score.group): score for score in found}
    assert by_key[2, "selection_rate", ()].value == pytest.approx((rows["prediction"][200:] == "yes").mean())
    assert not [score for score in found if score.start == 2 and score.metric == "accuracy"]  # its labels have not come
    women = rows[(rows[WINDOW] == 0) & (rows["sex"] == "f")]
    assert by_key[0, "accuracy", (("sex", "f"),)].value == pytest.approx((women["prediction"] == women["rich"]).mean())
    unsaid = rows.assign(sex=rows["sex"].where(rows["sex"] == "f"))
    found = list(window_scores(unsaid, label="rich", task="classification", metric="accuracy", classes=CLASSES, by=["sex"]))
    by_missing = {(score.start, score.metric, score.group): score for score in found}
    assert by_missing[0, "accuracy", (("sex", "(missing)"),)].value == by_key[0, "accuracy", (("sex", "m"),)].value
    assert by_missing[0, "accuracy", (("sex", "f"),)] == by_key[0, "accuracy", (("sex", "f"),)]
    numbers = pd.DataFrame({WINDOW: [5] * 40, "y": random.normal(size=40), "prediction": 0.0})
    (score,) = window_scores(numbers, label="y", task="regression", metric="mae", classes=(), by=())
    assert score.value == pytest.approx(mean_absolute_error(numbers["y"], numbers["prediction"]))
