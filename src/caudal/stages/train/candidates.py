"""One protocol for everything that can be trained: ``fit(frame, label)`` gives what can ``predict(frame)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from caudal.declarations.model import BASELINE, Model
from caudal.errors import DeclarationProblem
from caudal.stages.train.baseline import Baseline
from caudal.stages.train.rows import Rows
from caudal.stages.train.scikit import ScikitCandidate
from caudal.stages.train.spark_ml import LABEL, SparkCandidate, is_spark_ml

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession


class Fitted(Protocol):
    """Something trained."""

    @property
    def format(self) -> str:
        """What it is made of: ``sklearn``, ``spark`` or ``baseline``."""

    @property
    def estimator(self) -> Any:
        """The fitted object itself, to be stored."""

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and perhaps ``probability_<class>``, with the frame's index."""


class Candidate(Protocol):
    """Something to be trained. It is never changed by being fitted."""

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> Fitted:
        """Return what was learned from some rows."""

    def parameters(self) -> dict[str, Any]:
        """Return its parameters, ready for JSON."""


def candidates(model: Model, rows: Rows, spark: Callable[[], SparkSession] | None = None) -> dict[str, Candidate]:
    """Return the naive baseline and every declared candidate, by name.

    A candidate is declared as an estimator, or as a function that returns one; a function with a parameter is given the Spark
    session, for Spark ML estimators cannot be made before there is one.

    Raises
    ------
    DeclarationProblem : a candidate is no estimator, or is named like the baseline
    """
    if BASELINE in model.candidates:
        raise DeclarationProblem(
            f"Model '{model.name}' declares a candidate '{BASELINE}'; the naive baseline of that name is always there.",
            fix="Give the candidate another name.", where=str(model.where or ""), candidate=BASELINE,
        )  # fmt: skip
    if not model.candidates:
        raise DeclarationProblem(
            f"Model '{model.name}' has no candidates.", fix="Declare at least one.", where=str(model.where or "")
        )
    found: dict[str, Candidate] = {BASELINE: Baseline(model.metric, rows.classes, model.group_by)}
    for name, declared in model.candidates.items():
        found[name] = _candidate(model, name, _made(model, name, declared, spark), rows, spark)
    return found


def _made(model: Model, name: str, declared: Any, spark: Callable[[], SparkSession] | None) -> Any:
    if not inspect.isfunction(declared) and not isinstance(declared, type):
        return declared
    if inspect.isfunction(declared) and inspect.signature(declared).parameters:
        return declared(_session(model, name, spark)())
    return declared()


def _candidate(model: Model, name: str, estimator: Any, rows: Rows, spark: Callable[[], SparkSession] | None) -> Candidate:
    if is_spark_ml(estimator):
        if any(input_["name"] == LABEL for input_ in rows.inputs):
            raise DeclarationProblem(
                f"Model '{model.name}' has an input '{LABEL}', the name that Spark ML candidates find the label under.",
                fix="Rename the input.", where=str(model.where or ""), column=LABEL,
            )  # fmt: skip
        return SparkCandidate(estimator, rows.inputs, rows.classes, model.seed, _session(model, name, spark))
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict") and hasattr(estimator, "get_params")):
        raise DeclarationProblem(
            f"Candidate '{name}' of model '{model.name}' is a {type(estimator).__name__}, which cannot be trained.",
            fix="Use a scikit-learn estimator, a Spark ML estimator, or a function that returns one.",
            where=str(model.where or ""), candidate=name,
        )  # fmt: skip
    return ScikitCandidate(estimator, rows.inputs, rows.classes, model.seed)


def _session(model: Model, name: str, spark: Callable[[], SparkSession] | None) -> Callable[[], SparkSession]:
    if spark is None:
        raise DeclarationProblem(
            f"Candidate '{name}' of model '{model.name}' is Spark ML, and no Spark session was given to train it on.",
            fix="Pass spark=, a function that returns the session.", where=str(model.where or ""), candidate=name,
        )  # fmt: skip
    return spark
