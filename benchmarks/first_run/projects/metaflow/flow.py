"""The sample product as a flow of Metaflow: each step's tables are its artifacts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from metaflow import FlowSpec, step


class ShopFlow(FlowSpec):
    """Visitors of a shop within the next hour, from the counts at its door."""

    @step
    def start(self) -> None:
        """Read the files."""
        types = {"shop": str, "visitors": "Int64", "celsius": float}
        files = sorted(Path("landing").glob("counts_*.csv"))
        self.counts_raw = pd.concat(
            [pd.read_csv(file, parse_dates=["counted_at"], dtype=types) for file in files], ignore_index=True
        )
        self.next(self.clean)

    @step
    def clean(self) -> None:
        """Check and clean the counts."""
        from tables import cleaned

        self.counts = cleaned(self.counts_raw)
        self.next(self.hours)

    @step
    def hours(self) -> None:
        """Sum visitors by the hour."""
        from tables import by_hour

        self.visitors_hour = by_hour(self.counts)
        self.next(self.features)

    @step
    def features(self) -> None:
        """Collect what is known when an hour begins."""
        from tables import features

        self.next_hour = features(self.visitors_hour)
        self.next(self.train)

    @step
    def train(self) -> None:
        """Compare candidates and store the best one."""
        from forecasting import train

        self.candidates = train(self.next_hour, Path("model.joblib"))
        self.next(self.predict)

    @step
    def predict(self) -> None:
        """Predict by the champion."""
        from forecasting import predict

        self.predictions = predict(self.next_hour, Path("model.joblib"))
        self.next(self.end)

    @step
    def end(self) -> None:
        """Do nothing more: a flow has an end."""


if __name__ == "__main__":
    ShopFlow()
