"""Candidates made of Spark ML estimators, with the same protocol as those of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from pyspark.ml import Pipeline
from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler

from caudal.engine.ml import ROW, ml_frame, ml_scored

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.ml import Estimator, Transformer
    from pyspark.sql import SparkSession

    from caudal.declarations.signature import InputDocument

LABEL = "label"
FEATURES = "_features"


def is_spark_ml(estimator: object) -> TypeGuard[Estimator[Any]]:
    """Return whether an object is a Spark ML estimator, without importing Spark."""
    return any(kind.__module__.startswith("pyspark.ml.") for kind in type(estimator).__mro__)


@dataclass(frozen=True)
class SparkCandidate:
    """A Spark ML predictor or ``Pipeline``.

    A bare predictor gets its features prepared: numbers filled with the median, strings indexed (and one-hot encoded unless it is a
    tree), all in one vector. A ``Pipeline`` is used unchanged; it finds the inputs under their names, and the label as a double
    (for classes their position in sorted order) named ``label``.
    """

    estimator: Estimator[Any]
    inputs: Sequence[InputDocument]
    classes: tuple[str, ...] | None
    seed: int
    spark: Callable[[], SparkSession]

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> FittedSpark:
        """Return the estimator fitted to some rows."""
        label_values = (
            label if self.classes is None else label.map({name: float(number) for number, name in enumerate(self.classes)})
        )
        rows = ml_frame(self.spark(), frame, self.inputs, **{LABEL: label_values}).drop(ROW).cache()
        try:
            return FittedSpark(self._pipeline(frame).fit(rows), self.inputs, self.classes, self.spark)
        finally:
            rows.unpersist()

    def parameters(self) -> dict[str, object]:
        """Return the estimator's class and its parameters, for a pipeline those of each stage."""
        stages = self.estimator.getStages() if hasattr(self.estimator, "getStages") else [self.estimator]
        parameters: dict[str, object] = {"class": f"{type(self.estimator).__module__}.{type(self.estimator).__qualname__}"}
        for number, stage in enumerate(stages):
            prefix = f"{number}_{type(stage).__name__}__" if len(stages) > 1 else ""
            parameters |= {prefix + param.name: _plain(value) for param, value in stage.extractParamMap().items()}
        return parameters

    def _pipeline(self, frame: pd.DataFrame) -> Pipeline:
        if hasattr(self.estimator, "getStages"):
            return Pipeline(stages=[self._with_seed(stage.copy()) for stage in self.estimator.getStages()])
        predictor = self._with_seed(self.estimator.copy())
        predictor = predictor.copy({predictor.featuresCol: FEATURES, predictor.labelCol: LABEL})
        strings = [input_["name"] for input_ in self.inputs if input_["type"] == "string"]
        # A column without any value has no median to fill with, and no information.
        numbers = [input_["name"] for input_ in self.inputs if input_["type"] != "string" and frame[input_["name"]].notna().any()]
        return Pipeline(stages=[*_preparation_stages(predictor, strings, numbers, frame), predictor])

    def _with_seed(self, stage: Any) -> Any:
        if stage.hasParam("seed") and not stage.isSet("seed"):
            stage.set(stage.seed, self.seed)
        return stage


@dataclass(frozen=True)
class FittedSpark:
    """A fitted Spark ML pipeline."""

    estimator: Transformer
    inputs: Sequence[InputDocument]
    classes: tuple[str, ...] | None
    spark: Callable[[], SparkSession]

    format = "spark"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, where the model has them, ``probability_<class>``."""
        return ml_scored(self.estimator, self.spark(), frame, self.inputs, self.classes)


def _preparation_stages(
    predictor: Any, strings: list[str], numbers: list[str], frame: pd.DataFrame
) -> list[Estimator[Any] | Transformer]:
    """Return the stages that assemble the inputs into one vector."""
    stages: list[Estimator[Any] | Transformer] = []
    vector: list[str] = []
    if numbers:
        filled = [f"_filled_{name}" for name in numbers]
        stages.append(Imputer(strategy="median", inputCols=numbers, outputCols=filled))
        vector += filled
    if strings:
        indexed = [f"_index_{name}" for name in strings]
        # "keep" gives nulls and strings that training did not see a separate index.
        stages.append(StringIndexer(inputCols=strings, outputCols=indexed, handleInvalid="keep"))
        if predictor.hasParam("maxBins"):
            if not predictor.isSet("maxBins"):
                categories = max(frame[name].nunique() for name in strings)
                predictor.set(predictor.maxBins, max(predictor.getOrDefault("maxBins"), categories + 2))
            vector += indexed
        else:
            one_hot = [f"_one_hot_{name}" for name in strings]
            stages.append(OneHotEncoder(inputCols=indexed, outputCols=one_hot, handleInvalid="keep"))
            vector += one_hot
    return [*stages, VectorAssembler(inputCols=vector, outputCol=FEATURES)]


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
