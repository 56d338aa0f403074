"""What every project trains and predicts with: scikit-learn as one would write it by hand. It is copied into each project's folder.

The candidates, the split, the rule of choice and the gates are those that the sample product of caudal declares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

LABEL, TIME = "visitors", "window_start"
NUMBERS = ["visitors_lag_1", "visitors_lag_2", "visitors_lag_24", "celsius_lag_1", "hour", "weekday"]
INPUTS = ["shop", *NUMBERS]
TEST, HORIZON, FOLDS = pd.Timedelta(days=4), pd.Timedelta(hours=1), 3


def candidates() -> dict[str, Any]:
    """Return the estimators by name, the naive baseline among them."""
    as_ordinals = (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["shop"])
    as_columns = (OneHotEncoder(handle_unknown="ignore"), ["shop"])
    scaled = (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS)
    return {
        "baseline": DummyRegressor(strategy="median"),
        "ridge": make_pipeline(make_column_transformer(as_columns, scaled), Ridge()),
        "forest": make_pipeline(
            make_column_transformer(as_ordinals, ("passthrough", NUMBERS)),
            RandomForestRegressor(n_estimators=50, min_samples_leaf=3, random_state=0),
        ),
        "boosting": make_pipeline(
            make_column_transformer(as_ordinals, ("passthrough", NUMBERS)),
            HistGradientBoostingRegressor(max_iter=80, categorical_features=[0], random_state=0),
        ),
    }


def train(features: pd.DataFrame, model: Path) -> pd.DataFrame:
    """Return the mean absolute error of each candidate over the folds; the best one is stored where it passes the gates."""
    rows = _numbers(features).sort_values([TIME, "shop"], ignore_index=True)
    scores = pd.DataFrame(
        {name: [_error(estimator, rows, number) for number in range(FOLDS)] for name, estimator in candidates().items()}
    )
    means = scores.mean().sort_values()
    chosen = str(means.index[0])
    beats_champion = not model.exists() or means[chosen] <= joblib.load(model)["error"]
    if chosen != "baseline" and beats_champion:
        estimator = candidates()[chosen].fit(rows[INPUTS], rows[LABEL])
        joblib.dump({"name": chosen, "estimator": estimator, "error": means[chosen]}, model)
    return means.rename("mean_absolute_error").rename_axis("candidate").reset_index()


def predict(features: pd.DataFrame, model: Path) -> pd.DataFrame:
    """Return the champion's prediction for each shop and hour."""
    champion = joblib.load(model)["estimator"]
    return features[["shop", TIME]].assign(prediction=champion.predict(_numbers(features)[INPUTS]))


def _numbers(features: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with NaN where a number is missing: pandas' own null is not for scikit-learn."""
    return features.astype(dict.fromkeys([*NUMBERS, LABEL], "float64"))


def _error(estimator: Any, rows: pd.DataFrame, number: int) -> float:
    """Return the error on the last stretch but ``number``; what is learned from ends an hour before it, when its labels are known."""
    until = rows[TIME].max() - number * TEST
    test = rows[(rows[TIME] > until - TEST) & (rows[TIME] <= until)]
    learned = rows[rows[TIME] + HORIZON <= until - TEST]
    estimator.fit(learned[INPUTS], learned[LABEL])
    return float(mean_absolute_error(test[LABEL], np.asarray(estimator.predict(test[INPUTS]))))
