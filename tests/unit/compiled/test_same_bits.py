"""Pipelines of each supported kind, fitted to drawn data, predict the same bits when compiled; the parts of each kind have their example here."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import is_classifier
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, HuberRegressor, LogisticRegression, PoissonRegressor, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from caudal.compiled import CompiledModel, read_compiled
from caudal.compiled.compiling import Compilation, compile_model
from caudal.compiled.outputs import ScoreOutput
from caudal.compiled.same_bits import in_one_thread
from caudal.kinds import COMPILED_PARTS, COMPILERS
from caudal.stages.train.scikit import FittedScikit, ScikitCandidate

Case = tuple[Any, int]
LIGHT: dict[str, Any] = {"n_estimators": 12, "min_child_samples": 3, "verbose": -1, "n_jobs": 1}
EXTREME: dict[str, Any] = {"n_estimators": 12, "n_jobs": 1}

ESTIMATORS: dict[str, Case] = {
    "histogram boosting": (HistGradientBoostingRegressor(max_iter=12, min_samples_leaf=5), 0),
    "histogram boosting, stopped early": (HistGradientBoostingRegressor(max_iter=40, early_stopping=True, n_iter_no_change=2, min_samples_leaf=3), 0),
    "histogram boosting of counts": (HistGradientBoostingRegressor(loss="poisson", max_iter=8, min_samples_leaf=5), 0),
    "histogram boosting with many leaves": (HistGradientBoostingRegressor(max_iter=9, max_leaf_nodes=None, min_samples_leaf=1), 0),
    "histogram boosting of two classes": (HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5), 2),
    "histogram boosting of three classes": (HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=5), 3),
    "boosting": (GradientBoostingRegressor(n_estimators=12), 0),
    "boosting of two classes": (GradientBoostingClassifier(n_estimators=12), 2),
    "boosting by exponential loss": (GradientBoostingClassifier(n_estimators=10, loss="exponential"), 2),
    "boosting of three classes": (GradientBoostingClassifier(n_estimators=6), 3),
    "LightGBM": (LGBMRegressor(**LIGHT), 0),
    "LightGBM with many leaves": (LGBMRegressor(**{**LIGHT, "num_leaves": 150, "min_child_samples": 1}), 0),
    "LightGBM of few trees": (LGBMRegressor(**{**LIGHT, "n_estimators": 4}), 0),
    "LightGBM of counts": (LGBMRegressor(**LIGHT, objective="poisson"), 0),
    "LightGBM of medians": (LGBMRegressor(**LIGHT, objective="quantile"), 0),
    "LightGBM with its own categories": (LGBMRegressor(**LIGHT, categorical_feature=[0, 1], cat_smooth=1, min_data_per_group=2, max_cat_to_onehot=1), 0),
    "LightGBM as a forest": (LGBMRegressor(**LIGHT, boosting_type="rf", subsample=0.6, subsample_freq=1), 0),
    "LightGBM with dropped trees": (LGBMRegressor(**LIGHT, boosting_type="dart"), 0),
    "LightGBM of two classes": (LGBMClassifier(**LIGHT), 2),
    "LightGBM of three classes": (LGBMClassifier(**LIGHT), 3),
    "LightGBM of each class against the rest": (LGBMClassifier(**LIGHT, objective="multiclassova"), 3),
    "XGBoost": (XGBRegressor(**EXTREME), 0),
    "XGBoost with many leaves": (XGBRegressor(**EXTREME, max_depth=0, max_leaves=150, grow_policy="lossguide", min_child_weight=0), 0),
    "XGBoost of few trees": (XGBRegressor(n_estimators=4, n_jobs=1), 0),
    "XGBoost of counts": (XGBRegressor(**EXTREME, objective="count:poisson"), 0),
    "XGBoost of medians": (XGBRegressor(**EXTREME, objective="reg:absoluteerror"), 0),
    "XGBoost with its own categories": (XGBRegressor(**EXTREME, enable_categorical=True), 0),
    "XGBoost with pruned trees": (XGBRegressor(**EXTREME, tree_method="exact", gamma=0.5), 0),
    "XGBoost of two classes": (XGBClassifier(**EXTREME), 2),
    "XGBoost of three classes": (XGBClassifier(**EXTREME, enable_categorical=True), 3),
    "forest of XGBoost": (XGBRFRegressor(**EXTREME), 0),
    "forest of XGBoost of classes": (XGBRFClassifier(**EXTREME), 3),
    "forest": (RandomForestRegressor(12, n_jobs=2), 0),
    "small forest": (RandomForestRegressor(12, max_leaf_nodes=9), 0),
    "forest of classes": (RandomForestClassifier(9), 3),
    "extra trees": (ExtraTreesRegressor(11, max_depth=4), 0),
    "extra trees of classes": (ExtraTreesClassifier(11, max_depth=4), 2),
    "tree": (DecisionTreeRegressor(min_samples_leaf=2), 0),
    "tree of classes": (DecisionTreeClassifier(max_depth=4), 3),
    "ridge": (Ridge(), 0),
    "elastic net": (ElasticNet(0.01), 0),
    "huber": (HuberRegressor(), 0),
    "poisson": (PoissonRegressor(), 0),
    "logistic": (LogisticRegression(), 2),
    "logistic of three classes": (LogisticRegression(), 3),
    "ridge classifier": (RidgeClassifier(), 3),
    "own pipeline, dense": (
        make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="first"), ["channel"]),
                (make_pipeline(SimpleImputer(), RobustScaler()), ["amount", "share"]),
                ("passthrough", ["whole"]),
            ),
            MinMaxScaler(),
            Ridge(),
        ),
        0,
    ),
    "own pipeline, sparse": (
        make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=4), ["channel", "place"]),
                (make_pipeline(SimpleImputer(strategy="mean"), StandardScaler()), ["amount"]),
                sparse_threshold=1.0,
            ),
            MaxAbsScaler(),
            LogisticRegression(),
        ),
        2,
    ),
    "own pipeline, ordinals": (
        make_pipeline(
            make_column_transformer(
                (
                    make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
                    ["channel", "place"],
                ),
                (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), ["whole"]),
                remainder="drop",
            ),
            HistGradientBoostingRegressor(max_iter=8, categorical_features=[0, 1], min_samples_leaf=5),
        ),
        0,
    ),
}  # fmt: skip
INPUTS: list[Any] = [
    {"name": "amount", "type": "double"}, {"name": "share", "type": "double"}, {"name": "whole", "type": "long"}, {"name": "flag", "type": "boolean"},
    {"name": "channel", "type": "string"}, {"name": "place", "type": "string"},
]  # fmt: skip


def drawn_rows(seed: int, rows: int = 160, *, nulls: bool = True) -> pd.DataFrame:
    """Return rows of every type, some values missing."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": random.choice([random.normal(0, 10.0 ** random.integers(-3, 6), rows), random.integers(-3, 4, rows)]),
            "share": random.random(rows).round(random.integers(1, 9)),
            "whole": random.integers(0, random.integers(2, 60), rows),
            "flag": random.random(rows) < 0.3,
            "channel": random.choice(["web", "shop", "fax ☎"], rows),
            "place": random.choice([f"p{number}" for number in range(random.integers(2, 40))], rows),
        }
    )
    if nulls:
        frame["amount"] = frame.amount.where(random.random(rows) > 0.1)
        frame["place"] = frame.place.where(random.random(rows) > 0.1, None)
    return frame


def fitted_to(case: Case, seed: int) -> tuple[FittedScikit, pd.DataFrame]:
    """Return an estimator as caudal trains it, and the rows it was fitted to."""
    estimator, classes = case
    frame = drawn_rows(seed)
    amount = frame.amount.fillna(0)
    label = amount / (1 + amount.abs().max()) + frame.share + (frame.channel == "web") + frame.whole * 0.01
    label = label - label.min()
    if classes:
        edges = np.quantile(label, np.linspace(0, 1, classes + 1)[1:-1])
        label = pd.Series(np.array(["long", "medium", "short"][:classes], object)[np.digitize(label, edges)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = tuple(sorted(label.unique())) if classes else None
        return ScikitCandidate(estimator, INPUTS, names, seed).fit(frame, label), frame


def compiled(fitted: FittedScikit, frame: pd.DataFrame) -> Compilation:
    return compile_model(fitted.estimator, fitted.predict, INPUTS, frame)


def model_of(compilation: Compilation) -> CompiledModel:
    assert compilation.reason is None
    model = read_compiled(compilation.files, "a version")
    assert model is not None
    return model


@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_a_compiled_pipeline_predicts_the_same_bits(name: str, seed: int) -> None:
    fitted, frame = fitted_to(ESTIMATORS[name], seed)
    model = model_of(compiled(fitted, frame))
    # Other rows than those of the comparison at compile time, one by one as they are served.
    others = drawn_rows(seed + 1, 6)
    for place in range(len(others)):
        row = others.iloc[[place]]
        with (
            np.errstate(over="ignore"),
            in_one_thread(fitted.estimator),
        ):  # several threads add a forest's trees in the order in which they get ready
            expected = fitted.predict(row)
        own = model.predict_rows(row.to_dict("records"))
        assert own.values == expected.prediction.tolist()
        assert {f"probability_{label}": shares for label, shares in own.shares.items()} == expected.drop(
            columns="prediction"
        ).to_dict("list")


@pytest.mark.slow
def test_every_compiler_and_part_has_an_example() -> None:
    kinds: set[str] = set()
    estimators: list[Any] = []
    for name in (
        "histogram boosting",
        "boosting",
        "forest of classes",
        "ridge",
        "own pipeline, dense",
        "own pipeline, sparse",
        "LightGBM",
        "XGBoost",
    ):
        fitted, frame = fitted_to(ESTIMATORS[name], 1)
        kinds |= _kinds(model_of(compiled(fitted, frame)).model)
        estimators += _parts(fitted.estimator)
    assert kinds == set(COMPILED_PARTS)
    assert not [name for name, compiler in COMPILERS.items() if not any(map(compiler.reads, estimators))]


def test_what_has_no_compiled_form_says_so() -> None:
    fitted, frame = fitted_to((DummyRegressor(), 0), 2)
    compilation = compiled(fitted, frame)
    assert compilation.reason == "DummyRegressor has no compiled form."
    assert read_compiled(compilation.files, "a version") is None


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ((LGBMRegressor(**LIGHT, linear_tree=True), 0), "LightGBM with linear trees has"),
        ((LGBMRegressor(**LIGHT, zero_as_missing=True), 0), "LightGBM that takes zeros for missing values has"),
        ((LGBMRegressor(**LIGHT, reg_sqrt=True), 0), "LightGBM with the objective 'regression sqrt' has"),
        (
            (LGBMClassifier(**LIGHT, pred_early_stop=True), 2),
            "LightGBM that stops in the middle of its trees (pred_early_stop) has",
        ),
        ((XGBRegressor(**EXTREME, booster="dart"), 0), "XGBoost with the booster 'dart' has"),
        ((XGBRegressor(**EXTREME, booster="gblinear"), 0), "XGBoost with the booster 'gblinear' has"),
        ((XGBRegressor(**EXTREME, missing=0.0), 0), "XGBoost that takes a number for missing values has"),
        ((XGBClassifier(**EXTREME, objective="binary:hinge"), 2), "XGBoost with the objective 'binary:hinge' has"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_without_a_compiled_form_says_so(case: Case, reason: str) -> None:
    fitted, frame = fitted_to(case, 7)
    assert compiled(fitted, frame).reason == f"{reason} no compiled form."


def test_other_bits_are_refused() -> None:
    fitted, frame = fitted_to(ESTIMATORS["ridge"], 3)

    def nearly(rows: pd.DataFrame) -> pd.DataFrame:
        predicted = fitted.predict(rows)
        return predicted.assign(prediction=np.nextafter(predicted.prediction, np.inf))

    reason = compile_model(fitted.estimator, nearly, INPUTS, frame).reason
    assert reason is not None
    assert "other bits" in reason


def test_a_pipeline_that_refuses_other_rows_is_served_itself() -> None:
    fitted, frame = fitted_to(ESTIMATORS["tree"], 4)

    def choosy(rows: pd.DataFrame) -> pd.DataFrame:
        if rows.amount.isna().any():
            raise ValueError("no amount")
        return fitted.predict(rows)

    reason = compile_model(fitted.estimator, choosy, INPUTS, frame).reason
    assert reason == "The pipeline refuses a reference row that the compiled form takes."


def test_threads_of_a_forest_are_left_as_they_were() -> None:
    fitted, frame = fitted_to(ESTIMATORS["forest"], 5)
    assert compiled(fitted, frame).reason is None
    assert fitted.estimator.get_params()["model__n_jobs"] == 2


def test_outputs_have_as_many_scores_as_classes() -> None:
    with pytest.raises(ValueError, match="2 scores do not make"):
        ScoreOutput.read(ScoreOutput("softmax", ("a", "b", "c")).document(), 2)


def _parts(estimator: Any) -> list[Any]:
    """Return an estimator and all that it is made of."""
    steps = getattr(estimator, "steps", None) or getattr(estimator, "transformers_", [])
    return [estimator, *(part for step in steps for part in _parts(step[1]) if not isinstance(step[1], str))]


def _kinds(part: Any) -> set[str]:
    beside = [of_columns for _, of_columns in part.parts] if part.kind == "columns" else getattr(part, "parts", ())
    return {part.kind, *(kind for each in beside for kind in _kinds(each))}


def test_classifiers_are_told_from_regressors() -> None:
    assert all(is_classifier(estimator) == bool(classes) for estimator, classes in ESTIMATORS.values())
