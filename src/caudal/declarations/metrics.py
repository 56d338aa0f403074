"""The metrics that models are judged by, for each task, and what a metric asks of a candidate."""

from __future__ import annotations

from typing import Literal

from caudal.declarations.model import Task

Better = Literal["lower", "higher"]

METRICS: dict[Task, dict[str, Better]] = {
    "regression": {"mae": "lower", "rmse": "lower", "mape": "lower", "r2": "higher"},
    "classification": {"log_loss": "lower", "accuracy": "higher", "error_rate": "lower", "roc_auc": "higher", "f1": "higher"},
}
OF_PROBABILITIES = frozenset({"log_loss", "roc_auc"})
"""Metrics that need the probability of each class, and so a candidate with ``predict_proba``."""
