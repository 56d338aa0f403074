"""The same pipeline as one usually serves it: a pydantic model, a pandas frame, ``predict``. Run in an environment of its own."""

from __future__ import annotations

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

pipeline = joblib.load(os.environ["PIPELINE"])
app = FastAPI()


class Row(BaseModel):
    number_0: float
    number_1: float | None
    number_2: float
    number_3: float
    number_4: float
    number_5: float
    hour: int
    weekend: bool
    channel: str
    zone: str


@app.post("/predict")
def predict(row: Row) -> dict[str, float]:
    frame = pd.DataFrame([row.model_dump()]).astype(
        {name: "float64" for name in Row.model_fields if name not in ("channel", "zone")}
    )
    # The encoder was fitted to columns in this order.
    return {"prediction": float(pipeline.predict(frame)[0])}
