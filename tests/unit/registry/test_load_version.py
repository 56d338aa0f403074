"""A version is loaded only as it was registered, and without running code of its file."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.preprocessing import FunctionTransformer

import caudal
from caudal import registry
from caudal.errors import EnvironmentProblem, NotThere, StepFailed
from caudal.ledger.records import model_versions
from caudal.registry import artifact


def test_the_champion_predicts_as_it_was_trained(home, ledger, registered, trained, rides):
    result = trained()
    registered(result=result)
    registry.promote(ledger, "taxi", "duration", 1, who="ana")
    loaded = registry.load_version(home, ledger, "taxi", "duration")
    shuffled = rides.sample(frac=1, random_state=1)
    assert loaded.predict(shuffled).prediction.equals(result.fitted.predict(rides).prediction.loc[shuffled.index])
    assert (loaded.version, loaded.candidate, loaded.trained_until) == (1, "chosen", result.training_until)
    assert loaded.predict(rides[:0]).empty
    with pytest.raises(StepFailed, match="needs the input 'zone'"):
        loaded.predict(rides.drop(columns="zone"))


@pytest.mark.parametrize("estimator", [RandomForestClassifier(5), RidgeClassifier()], ids=lambda one: type(one).__name__)
def test_classes_come_with_probabilities_where_there_are_any(estimator, home, ledger, registered, trained, rides):
    registered(result=trained(estimator, task="classification", metric="accuracy"))
    said = registry.load_version(home, ledger, "taxi", "duration", 1).predict(rides)
    assert set(said.prediction) <= {"long", "short"}
    assert list(said) == (
        ["prediction", "probability_long", "probability_short"] if hasattr(estimator, "predict_proba") else ["prediction"]
    )


def test_changed_and_lost_files_are_refused(home, ledger, registered):
    folder = home.path / registered().row["artifact"]
    whole = (folder / "model.skops").read_bytes()
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    (folder / "model.skops").write_bytes(damaged)
    with pytest.raises(
        EnvironmentProblem, match="version 1 of model 'duration' of product 'taxi' are not those that were registered"
    ):
        registry.load_version(home, ledger, "taxi", "duration", 1)
    (folder / "model.skops").write_bytes(whole)
    (folder / "more.txt").write_text("put beside it")
    with pytest.raises(EnvironmentProblem, match="not those that were registered"):
        registry.load_version(home, ledger, "taxi", "duration", 1)
    (folder / "more.txt").unlink()
    registry.load_version(home, ledger, "taxi", "duration", 1)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(EnvironmentProblem, match="are gone"):
        registry.load_version(home, ledger, "taxi", "duration", 1)


def _as_registered(home, ledger, name: str, data: bytes, format: str) -> None:
    """Put other bytes under a version and into the ledger too, as one who can write both would."""
    folder = home.path / ledger.find(model_versions)[0]["artifact"]
    for file in folder.iterdir():
        file.unlink()
    (folder / name).write_bytes(data)
    ledger.change(model_versions, {"version": 1}, artifact_sha256=artifact.model_digest(folder), format=format)


class Evil:
    """What an attacker's pickle looks like."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_malicious_pickle_is_never_opened(home, ledger, registered, tmp_path):
    registered()
    mark = tmp_path / "it ran"
    _as_registered(home, ledger, "model.pickle", pickle.dumps(Evil(mark)), "pickle")
    with pytest.raises(EnvironmentProblem, match="runs any code"):
        registry.load_version(home, ledger, "taxi", "duration", 1)
    assert not mark.exists()
    pickle.load(io.BytesIO(pickle.dumps(Evil(mark))))  # the attack itself works
    assert mark.exists()


def test_a_malicious_skops_file_is_never_built(home, ledger, registered, rides):
    registered()
    evil = FunctionTransformer(os.system).fit(np.zeros((1, 1)))
    _as_registered(home, ledger, "model.skops", skops.io.dumps(evil), "skops")
    with pytest.raises(EnvironmentProblem, match=r"not known to be safe: .*system"):
        registry.load_version(home, ledger, "taxi", "duration", 1)
    with pytest.raises(EnvironmentProblem, match="not known to be safe"):  # trusting pickle trusts no types
        registry.load_version(home, ledger, "taxi", "duration", 1, trust=["pickle"])


def test_a_pickle_that_the_settings_trust_is_loaded(home, ledger, registered, rides):
    registered()
    _as_registered(home, ledger, "model.pickle", pickle.dumps(Ridge().fit(pd.DataFrame({"km": [1.0, 1.0]}), [1.0, 2.0])), "pickle")
    ledger.change(model_versions, {"version": 1}, signature={"inputs": [{"name": "km", "type": "long"}]})
    loaded = registry.load_version(home, ledger, "taxi", "duration", 1, trust=["pickle"])
    assert loaded.predict(pd.DataFrame({"km": [1]})).prediction.tolist() == [1.5]


def test_a_file_that_is_no_model_names_the_versions_it_was_made_with(home, ledger, registered):
    registered()
    _as_registered(home, ledger, "model.skops", b"no zip", "skops")
    with pytest.raises(EnvironmentProblem, match=r"cannot be loaded.*requirements.txt"):
        registry.load_version(home, ledger, "taxi", "duration", 1)


def test_what_is_not_there_is_told_with_what_is(home, ledger, registered):
    with pytest.raises(NotThere, match="no trained version"):
        registry.load_version(home, ledger, "taxi", "duration")
    registered()
    with pytest.raises(NotThere, match=r"no champion: none of its 1 versions.*caudal model promote duration 1"):
        registry.load_version(home, ledger, "taxi", "duration")
    with pytest.raises(NotThere, match="no version 7; it has 1"):
        registry.load_version(home, ledger, "taxi", "duration", 7)


@pytest.mark.slow
def test_loading_imports_neither_mlflow_nor_spark(home, ledger, registered):
    registered()
    code = (
        "import sys, pathlib; from caudal import registry; from caudal.tables.home import Home; "
        f"home = Home(pathlib.Path({str(home.path)!r})); before = set(sys.modules); "
        "model = registry.load_version(home, home.ledger(), 'taxi', 'duration', 1); "
        "print([one for one in ('mlflow', 'pyspark', 'luigi') if one in sys.modules], 'sklearn' in before, model.version)"
    )
    source = str(Path(caudal.__file__).parents[1])
    said = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[] False 1"
