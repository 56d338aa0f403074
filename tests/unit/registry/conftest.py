"""A home with a ledger, and small trainings to register."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from caudal.declarations.model import Model, temporal
from caudal.declarations.node import Features
from caudal.ledger.ledger import Ledger
from caudal.registry import Registered, register, warm_up
from caudal.registry.track import STORE
from caudal.stages.train import Trained, train
from caudal.tables.home import Home

FEATURES = Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",))


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh MLflow database: making one takes a second, copying it none."""
    home = tmp_path_factory.mktemp("mlflow")
    warm_up(home).join()
    return home / STORE


@pytest.fixture
def home(tmp_path: Path, mlflow_store: Path) -> Home:
    place = Home(tmp_path / "home")
    place.path.mkdir()
    shutil.copy(mlflow_store, place.path / STORE)
    return place


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    opened = home.ledger()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def rides() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 200
    km, zone = rng.gamma(2, 2, n), rng.choice(["A", "B"], n)
    return pd.DataFrame({
        "ride": [f"r{at}" for at in range(n)], "at": pd.date_range("2023-01-01", periods=n, freq="h"), "km": km, "zone": zone,
        "minutes": 2 * km + 3 * (zone == "B") + rng.normal(0, 0.5, n),
    })  # fmt: skip


@pytest.fixture(scope="session")
def trained(rides: pd.DataFrame) -> Callable[..., Trained]:
    def made(estimator: Any = None, **more: Any) -> Trained:
        told = {"horizon_s": 0.0, "split": temporal("1 day", folds=2), "metric": "mae", **more}
        frame = rides
        if told.get("task") == "classification":
            frame = rides.assign(minutes=np.where(rides.minutes > 8, "long", "short"))
        candidate = Ridge() if estimator is None else estimator
        return train(Model("duration", "rides", "minutes", candidates={"chosen": candidate}, **told), FEATURES, frame)

    return made


@pytest.fixture
def registered(home: Home, ledger: Ledger, trained: Callable[..., Trained]) -> Callable[..., Registered]:
    def made(fingerprint: str = "f1", estimator: Any = None, result: Trained | None = None, **more: Any) -> Registered:
        told = {"code": "c1", "training_table": "rides", "training_version": 4, "run_id": f"run {fingerprint}", **more}
        return register(home, ledger, "taxi", "duration", result or trained(estimator), fingerprint=fingerprint, **told)

    return made
