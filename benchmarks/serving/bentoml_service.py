"""The same pipeline by BentoML, whose adaptive batching puts rows of several requests together. Run in an environment of its own."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, traffic={"timeout": 60})
class Predictor:
    """Predicts from rows; each request sends one."""

    def __init__(self) -> None:
        self.pipeline = joblib.load(os.environ["PIPELINE"])

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        """Return the prediction of each row."""
        frame = pd.DataFrame(rows)
        frame = frame.astype({name: "float64" for name in frame.columns if name not in ("channel", "zone")})
        return [float(value) for value in self.pipeline.predict(frame)]
