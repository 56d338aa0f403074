"""Small features to train on, and the declarations that go with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from caudal.declarations.model import Model, Temporal, temporal
from caudal.declarations.node import Features

DAY = 86400.0


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data; a test skips, naming its file, where that is absent."""
    return Path(os.environ.get("CAUDAL_DATA", Path(__file__).parents[4].parent / "shared" / "data"))


@pytest.fixture
def features() -> Features:
    return Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",), keep=("borough",))


@pytest.fixture
def rides() -> pd.DataFrame:
    """Return 600 rides over 30 days: minutes = 2 km + 5 at rush hour + 3 in zone C + noise, with nulls in ``km`` and ``zone``."""
    rng = np.random.default_rng(7)
    n = 600
    km = rng.gamma(2, 2, n)
    zone = rng.choice(["A", "B", "C"], n)
    rush = rng.random(n) < 0.3
    minutes = 2 * km + 5 * rush + 3 * (zone == "C") + rng.normal(0, 0.5, n)
    frame = pd.DataFrame({
        "ride": [f"r{at}" for at in range(n)], "at": pd.date_range("2023-01-01", periods=n, freq="72min"), "km": km, "zone": zone, "rush": rush,
        "seats": rng.integers(1, 6, n), "borough": rng.choice(["Queens", "Bronx"], n), "minutes": minutes,
    })  # fmt: skip
    frame.loc[::37, "km"] = np.nan
    frame.loc[::41, "zone"] = None
    return frame


@pytest.fixture
def declared() -> Callable[..., Model]:
    def model(candidates: Mapping[str, Any] | None = None, split: Temporal | None = None, **more: Any) -> Model:
        given = {"ridge": Ridge(), "tree": DecisionTreeRegressor(max_depth=6)} if candidates is None else candidates
        told: dict[str, Any] = {"horizon_s": 3600.0, "metric": "mae", **more}
        return Model("duration", "rides", "minutes", candidates=given, split=split or temporal("5 days", folds=2), **told)

    return model
