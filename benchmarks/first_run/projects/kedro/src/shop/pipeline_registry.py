"""The pipeline: files, counts, hours, features, candidates, predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from kedro.pipeline import Pipeline, node

from shop.forecasting import predict, train
from shop.tables import by_hour, cleaned, features

MODEL = Path("data/model.joblib")


def read(counts_files: dict[str, Callable[[], pd.DataFrame]]) -> pd.DataFrame:
    """Return the rows of all files."""
    return pd.concat([load() for _, load in sorted(counts_files.items())], ignore_index=True)


def trained(next_hour: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates' errors; the best one is stored."""
    return train(next_hour, MODEL)


def predicted(next_hour: pd.DataFrame, candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the champion's predictions; the candidates come first, since they store it."""
    return predict(next_hour, MODEL)


def register_pipelines() -> dict[str, Pipeline]:
    """Return the project's only pipeline."""
    return {
        "__default__": Pipeline(
            [
                node(read, "counts_files", "counts_raw"),
                node(cleaned, "counts_raw", "counts"),
                node(by_hour, "counts", "visitors_hour"),
                node(features, "visitors_hour", "next_hour"),
                node(trained, "next_hour", "candidates"),
                node(predicted, ["next_hour", "candidates"], "predictions"),
            ]
        )
    }
