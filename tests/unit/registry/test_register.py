"""A training becomes one version, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import caudal
from caudal import registry
from caudal.declarations.model import Model, temporal
from caudal.declarations.node import Features
from caudal.errors import EnvironmentProblem
from caudal.ledger.measurements import measurements
from caudal.ledger.records import candidates, model_versions
from caudal.registry.track import STORE
from caudal.stages.train import train
from caudal.tables.home import Home


def test_a_version_keeps_how_rules_and_groups_compared(home, ledger, registered, rides):
    model = Model(
        "duration", "rides", "minutes", 0.0, {"ridge": Ridge(), "strong": Ridge(900.0)}, temporal("1 day", folds=3), "mae"
    )
    result = train(model, Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",)), rides)
    registered(result=result)
    registered("f2", result=result, run_id="run f1")  # tried again in the same run: the figures are not doubled
    card = registry.card(ledger, "taxi", "duration", 1)
    assert [rule["rule"] for rule in card["rules"] if rule["declared"]] == ["best_mean"]
    assert len(card["rules"]) == 5
    assert [rule["regret"] for rule in card["rules"]] == sorted(rule["regret"] for rule in card["rules"])
    assert {rule["now"] for rule in card["rules"]} == {"ridge"}
    assert [(group["group"], group["candidates"], group["best_in"], group["folds"]) for group in card["groups"]] == [
        ("sklearn.linear_model._ridge.Ridge", ["ridge", "strong"], 3, 3)
    ]


def test_the_card_has_the_estimate_beside_what_came_later(home, ledger, registered, rides):
    model = Model("duration", "rides", "minutes", 0.0, {"ridge": Ridge()}, temporal("1 day", folds=2), "mae")
    features = Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",))
    early = rides.head(120)
    registered(result=train(model, features, early))
    champion = registry.load_version(home, ledger, "taxi", "duration", 1)
    assert train(model, features, early, champion=champion).later is None
    dearer = rides.assign(minutes=rides.minutes + np.where(rides.index < 120, 0, 10))
    result = train(model, features, dearer, champion=champion)
    by_hand = (champion.predict(dearer.iloc[120:])["prediction"] - dearer.minutes.iloc[120:]).abs().mean()
    registered("f2", result=result)
    (later,) = registry.card(ledger, "taxi", "duration", 1)["later"]
    assert later["score"] == pytest.approx(by_hand)
    assert (later["rows"], later["metric"], later["version"]) == (80, "mae", 1)
    assert later["estimate"] == pytest.approx(registry.card(ledger, "taxi", "duration", 1)["metrics"]["mae"])
    assert later["score"] > 9 > 1 > later["estimate"]
    assert registry.card(ledger, "taxi", "duration", 2)["later"] == []


def test_a_version_holds_everything_that_is_known_of_it(home, ledger, registered):
    made = registered()
    (row,) = ledger.find(model_versions)
    assert made.new
    assert made.warning is None
    assert made.version == 1 == row["version"]
    assert (row["training_table"], row["training_version"], row["training_rows"], row["format"]) == ("rides", 4, 200, "skops")
    assert row["metrics"]["mae"] < 1
    assert row["parameters"]["alpha"] == 1.0
    assert row["environment"]["libraries"]["scikit-learn"]
    assert row["environment"]["python"]
    assert {path.name for path in (home.path / row["artifact"]).iterdir()} == {
        "model.skops", "signature.json", "environment.json", "requirements.txt", "MLmodel",
    }  # fmt: skip
    told = ledger.find(candidates)
    assert [(one["candidate"], one["baseline"], one["chosen"]) for one in told] == [
        ("baseline", True, False),
        ("chosen", False, True),
    ]
    assert len(told[1]["folds"]) == 2
    assert told[1]["spread"] is not None


def test_scores_are_measurements_by_candidate_and_fold(ledger, registered):
    made = registered()
    means = measurements(ledger, product="taxi", subject="duration", metric="mae", group={"candidate": "chosen"})
    told = next(row for row in ledger.find(candidates) if row["candidate"] == "chosen")
    (mean,) = means
    assert (mean.value, mean.run_id, mean.version, mean.subject_kind) == (told["score"], "run f1", made.version, "model")
    assert (mean.low, mean.high) == (told["score"] - told["spread"], told["score"] + told["spread"])
    folds = [measurements(ledger, product="taxi", metric="mae", group={"candidate": "chosen", "fold": n})[0] for n in (1, 2)]
    assert [fold.value for fold in folds] == [fold["mae"] for fold in told["folds"]]
    assert [fold.count for fold in folds] == [fold["test_rows"] for fold in told["folds"]]
    assert folds[0].window_start < folds[0].window_end <= folds[1].window_end == mean.window_end
    baseline = measurements(ledger, product="taxi", subject="duration", metric="rmse", group={"candidate": "baseline"})
    assert [(figure.version, figure.detail) for figure in baseline] == [(None, {"chosen": False, "baseline": True})]


@pytest.mark.slow
def test_an_attempt_of_the_same_run_replaces_its_measurements(home, ledger, registered):
    first = registered()
    many = len(measurements(ledger, product="taxi"))
    (home.path / first.row["artifact"] / "model.skops").unlink()
    assert registered().version == 2
    assert len(measurements(ledger, product="taxi")) == many
    registered("f2")
    assert len(measurements(ledger, product="taxi")) == 2 * many


def test_the_same_training_is_registered_once(home, ledger, registered):
    first, again = registered("f1"), registered("f1")
    assert again.version == first.version
    assert not again.new
    assert len(ledger.find(model_versions)) == 1
    assert len(ledger.find(candidates)) == 2
    assert registered("f2").version == 2
    assert registry.find(home, ledger, "taxi", "duration", "f2")["version"] == 2
    assert registry.find(home, ledger, "taxi", "duration", "f3") is None


def test_a_version_whose_files_were_lost_is_registered_anew(home, ledger, registered):
    first = registered()
    (home.path / first.row["artifact"] / "model.skops").unlink()
    assert registered().version == 2


def test_mlflow_has_run_metrics_and_version(home, registered, trained):
    made = registered()
    registered()
    with closing(sqlite3.connect(home.path / STORE)) as store:
        runs = store.execute("select run_uuid, status, name from runs").fetchall()
        metrics = set(store.execute("select key, step from metrics").fetchall())
        tags = dict(store.execute("select key, value from tags").fetchall())
        versions = store.execute("select name, version, run_id, source from model_versions").fetchall()
        params = dict(store.execute("select key, value from params").fetchall())
    assert runs == [(made.row["mlflow_run"], "FINISHED", "duration 1")]
    assert {("mae", 0), ("chosen/mae", 1), ("chosen/mae", 2), ("baseline/rmse", 2)} <= metrics
    assert tags["caudal.training_data"] == "rides@4"
    assert json.loads(tags["caudal.signature"]) == made.row["signature"]
    assert versions == [("taxi.duration", 1, made.row["mlflow_run"], (home.path / made.row["artifact"]).as_uri())]
    assert params["candidate"] == "chosen"
    assert params["alpha"] == "1.0"


def test_mlflow_itself_can_load_the_stored_model(home, registered, rides):
    import mlflow.sklearn

    made = registered()
    theirs = mlflow.sklearn.load_model((home.path / made.row["artifact"]).as_posix())
    ours = registry.load_version(home, home.ledger(), "taxi", "duration", 1)
    assert (theirs.predict(rides[["km", "zone"]]) == ours.predict(rides).prediction).all()


def test_a_broken_mlflow_loses_no_model(home, ledger, registered):
    (home.path / "mlflow.db").write_bytes(b"no database at all" * 100)
    made = registered()
    assert made.new
    assert made.row["mlflow_run"] is None
    assert "MLflow did not take version 1" in made.warning
    assert registry.load_version(home, ledger, "taxi", "duration", 1).version == 1


def test_what_a_killed_training_left_is_swept(home, ledger, registered):
    below = home.models("taxi", "duration")
    (below / ".making-dead").mkdir(parents=True)
    (below / "1").mkdir()  # renamed, but killed before its row was written
    (below / "1" / "old.bin").write_bytes(b"old")
    made = registered()
    assert sorted(path.name for path in below.iterdir()) == ["1"]
    assert not (below / "1" / "old.bin").exists()
    assert registry.load_version(home, ledger, "taxi", "duration", made.version).version == 1


STEPS = ("artifact.write_artifact", "artifact.model_digest", "_track", "_enter")


@pytest.mark.slow
@pytest.mark.faults
def test_a_kill_at_any_step_leaves_nothing_or_all(tmp_path, mlflow_store, trained, rides):
    """Processes that kill themselves (-9) where they enter a step of registering; then the same training again."""
    homes = {step: Home(tmp_path / step) for step in STEPS}
    for home in homes.values():
        home.path.mkdir()
        shutil.copy(mlflow_store, home.path / STORE)
    rides.to_parquet(tmp_path / "rides.parquet")
    script = tmp_path / "killed.py"
    script.write_text(
        textwrap.dedent("""
        import importlib, os, signal, sys, pathlib
        import pandas as pd
        from sklearn.linear_model import Ridge
        from caudal.tables.home import Home
        from caudal.declarations.model import Model, temporal
        from caudal.declarations.node import Features
        from caudal.stages.train import train

        register = importlib.import_module("caudal.registry.register")
        features = Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",))
        model = Model("duration", "rides", "minutes", 0.0, {"chosen": Ridge()}, temporal("1 day", folds=2), "mae")
        trained = train(model, features, pd.read_parquet("rides.parquet"))

        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        for step in sys.argv[1:]:
            if (child := os.fork()) == 0:
                place, _, name = step.rpartition(".")
                setattr(getattr(register, place) if place else register, name, die)
                home = Home(pathlib.Path(step))
                register.register(home, home.ledger(), "taxi", "duration", trained, fingerprint="f1", code="c1",
                                  training_table="rides", training_version=4, run_id="killed")
                os._exit(0)
            print(step, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    )
    source = str(Path(caudal.__file__).parents[1])
    ended = subprocess.run(
        [sys.executable, str(script), *STEPS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines() == [f"{step} {-signal.SIGKILL}" for step in STEPS], ended.stderr
    result = trained()
    for home in homes.values():
        ledger = home.ledger()
        assert ledger.find(model_versions) == []
        assert ledger.find(candidates) == []
        told = {"fingerprint": "f1", "code": "c1", "training_table": "rides", "training_version": 4, "run_id": "again"}
        made = registry.register(home, ledger, "taxi", "duration", result, **told)
        assert made.version == 1
        assert made.new
        assert made.warning is None
        assert [path.name for path in home.models("taxi", "duration").iterdir()] == ["1"]
        assert registry.load_version(home, ledger, "taxi", "duration", 1).predict(rides).prediction.notna().all()
        ledger.close()
        with closing(sqlite3.connect(home.path / STORE)) as store:
            assert store.execute("select count(*) from runs where lifecycle_stage = 'active'").fetchone() == (1,)


@pytest.mark.parametrize(
    "estimator", [RandomForestRegressor(5), HistGradientBoostingRegressor(max_iter=5)], ids=lambda one: type(one).__name__
)
def test_forests_and_boosting_are_stored_without_pickle(estimator, home, ledger, registered, trained, rides):
    result = trained(estimator)
    assert registered(result=result).row["format"] == "skops"
    assert registry.load_version(home, ledger, "taxi", "duration", 1).predict(rides).equals(result.fitted.predict(rides))


def test_what_skops_cannot_store_is_refused_unless_pickle_is_trusted(home, ledger, registered):
    odd = make_pipeline(FunctionTransformer(lambda x: x[["km"]]), Ridge())
    with pytest.raises(EnvironmentProblem, match=r"only by pickle.*trust = \['pickle'\]"):
        registered(estimator=odd)
    assert ledger.find(model_versions) == []
    assert not (home.models("taxi", "duration") / "1").exists()


def test_own_types_are_refused_unless_trusted_by_name(home, ledger, registered, rides):
    own = make_pipeline(make_column_transformer((FunctionTransformer(halved), ["km"])), Ridge())
    with pytest.raises(EnvironmentProblem, match=r"not known to be safe: .*halved.*CAUDAL_TRUST"):
        registered(estimator=own)
    made = registered(estimator=own, trust=[f"{__name__}.*"])
    assert made.row["environment"]["types"] == [f"{__name__}.halved"]
    with pytest.raises(EnvironmentProblem, match="not known to be safe"):
        registry.load_version(home, ledger, "taxi", "duration", 1)
    assert (
        registry.load_version(home, ledger, "taxi", "duration", 1, trust=[f"{__name__}.halved"])
        .predict(rides)
        .prediction.notna()
        .all()
    )


def halved(x):
    return x / 2
