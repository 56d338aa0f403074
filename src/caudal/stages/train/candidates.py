"""One protocol for everything that can be trained: ``fit(frame, label)`` returns an object with ``predict(frame)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sklearn.base import clone
from sklearn.model_selection import KFold, RandomizedSearchCV, TimeSeriesSplit

from caudal.declarations.estimator import Estimator, is_h2o, why_not_stored
from caudal.declarations.model import BASELINE, Hashed, Model
from caudal.errors import DeclarationProblem
from caudal.stages.frameworks.cuml import require_convertible
from caudal.stages.frameworks.h2o_server import H2OServer
from caudal.stages.train.baseline import Baseline
from caudal.stages.train.h2o import H2OCandidate
from caudal.stages.train.rows import LabelledRows
from caudal.stages.train.scikit import ScikitCandidate
from caudal.stages.train.spark_ml import LABEL, SparkCandidate, is_spark_ml

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession


SCORING = {
    "mae": "neg_mean_absolute_error", "rmse": "neg_root_mean_squared_error", "mape": "neg_mean_absolute_percentage_error", "r2": "r2",
    "accuracy": "accuracy", "error_rate": "accuracy", "f1": "f1_macro", "log_loss": "neg_log_loss", "roc_auc": "roc_auc_ovr",
}  # fmt: skip
"""scikit-learn's score for each metric; a metric of another package is searched by the estimator's own score."""


class FittedCandidate(Protocol):
    """A trained candidate."""

    @property
    def format(self) -> str:
        """Return its kind: ``sklearn``, ``spark``, ``mojo`` or ``baseline``."""

    @property
    def estimator(self) -> object:
        """Return the fitted object, to be stored."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and perhaps ``probability_<class>``, with the frame's index."""


class Candidate(Protocol):
    """A candidate to train. Fitting never changes it."""

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> FittedCandidate:
        """Return the candidate fitted to some rows."""

    def parameters(self) -> dict[str, object]:
        """Return its parameters, ready for JSON."""


def candidates(
    model: Model, rows: LabelledRows, spark: Callable[[], SparkSession] | None = None, h2o: H2OServer | None = None
) -> dict[str, Candidate]:
    """Return the naive baseline and every declared candidate, by name.

    A candidate is declared as an estimator, or as a function that returns one. A function with a parameter gets the Spark
    session, because Spark ML estimators cannot be created before it exists.

    Parameters
    ----------
    h2o : the server that trains H2O's estimators; the caller ends it

    Raises
    ------
    DeclarationProblem : a candidate is not an estimator, or has the name of the baseline
    """
    if BASELINE in model.candidates:
        raise DeclarationProblem(
            f"Model '{model.name}' declares a candidate '{BASELINE}'; every model has the naive baseline of that name.",
            fix="Give the candidate another name.", where=str(model.where or ""), candidate=BASELINE,
        )  # fmt: skip
    if not model.candidates:
        raise DeclarationProblem(
            f"Model '{model.name}' has no candidates.", fix="Declare at least one.", where=str(model.where or "")
        )
    by_name: dict[str, Candidate] = {BASELINE: Baseline(model.metric, rows.classes, model.group_by)}
    for name, declared in model.candidates.items():
        by_name[name] = _candidate(model, name, _estimator(model, name, declared, spark), rows, spark, h2o or H2OServer())
    return by_name


def _estimator(model: Model, name: str, declared: object, spark: Callable[[], SparkSession] | None) -> object:
    if not inspect.isfunction(declared) and not isinstance(declared, type):
        return declared
    if inspect.isfunction(declared) and inspect.signature(declared).parameters:
        return declared(_session(model, name, spark)())
    return declared()


def _candidate(
    model: Model,
    name: str,
    estimator: object,
    rows: LabelledRows,
    spark: Callable[[], SparkSession] | None,
    h2o: H2OServer,
) -> Candidate:
    subject, where = f"Candidate '{name}' of model '{model.name}'", str(model.where or "")
    if is_spark_ml(estimator):
        if any(input_["name"] == LABEL for input_ in rows.inputs):
            raise DeclarationProblem(
                f"Model '{model.name}' has an input '{LABEL}', the label's name for Spark ML candidates.",
                fix="Rename the input.", where=str(model.where or ""), column=LABEL,
            )  # fmt: skip
        return SparkCandidate(estimator, rows.inputs, rows.classes, model.seed, _session(model, name, spark))
    if (reason := why_not_stored(estimator)) is not None:
        raise DeclarationProblem(f"{subject} {reason[0]}.", fix=reason[1], where=where, candidate=name)
    if is_h2o(estimator):
        return H2OCandidate(estimator, rows.inputs, rows.classes, model.seed, h2o)
    if not isinstance(estimator, Estimator):
        raise DeclarationProblem(
            f"{subject} is a {type(estimator).__name__}, which cannot be trained.",
            fix="Use a scikit-learn estimator, a Spark ML estimator, or a function that returns one.",
            where=where, candidate=name,
        )  # fmt: skip
    require_convertible(estimator, subject, where)
    return ScikitCandidate(_with_metric(model, estimator), rows.inputs, rows.classes, model.seed)


def _with_metric(model: Model, estimator: Estimator) -> Estimator:
    """Return a search of ``cd.search`` that scores by the model's metric, and draws its folds where the rows have no order; others unchanged."""
    if not isinstance(estimator, RandomizedSearchCV) or not isinstance(estimator.cv, TimeSeriesSplit):
        return estimator
    changed: dict[str, object] = {}
    if estimator.scoring is None:
        changed["scoring"] = SCORING.get(model.metric)
    if isinstance(model.split, Hashed):
        changed["cv"] = KFold(estimator.cv.n_splits, shuffle=True, random_state=model.seed)
    search: Estimator = clone(estimator).set_params(**changed)
    return search


def _session(model: Model, name: str, spark: Callable[[], SparkSession] | None) -> Callable[[], SparkSession]:
    if spark is None:
        raise DeclarationProblem(
            f"Candidate '{name}' of model '{model.name}' is Spark ML, and no Spark session was given to train it on.",
            fix="Pass spark=, a function that returns the session.", where=str(model.where or ""), candidate=name,
        )  # fmt: skip
    return spark
