"""Candidates in parallel processes: the same results, within memory and cores, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_info, threadpool_limits

from caudal.errors import DeclarationProblem
from caudal.stages.train import parallel, train
from caudal.stages.train.parallel import Plan, is_portable, plan_for
from caudal.stages.train.scikit import ScikitCandidate


class OfMyOwn(RegressorMixin, BaseEstimator):
    """An estimator that another process could not import."""

    def fit(self, rows, labels):
        self.pid_ = os.getpid()
        self.mean_ = float(np.mean(labels))
        return self

    def predict(self, rows):
        return np.full(len(rows), self.mean_)


class Broken(Ridge):
    """An estimator that fails."""

    def fit(self, rows, labels):
        raise ValueError("no fit today")


@pytest.mark.slow
def test_parallel_results_are_those_of_one_process(rides, features, declared):
    def candidates(threads):
        return {
            "own": OfMyOwn(),
            "broken": Broken(),
            "ridge": Ridge(),
            "forest": RandomForestRegressor(10, n_jobs=threads),
            "boosting": HistGradientBoostingRegressor(max_iter=20),
            "rough": make_pipeline(Ridge(), memory=None).set_params(ridge__alpha="much"),
        }

    lines: list[str] = []
    found = train(declared(candidates(8)), features, rides, jobs=2, progress=lines.append)
    with threadpool_limits(max(1, len(os.sched_getaffinity(0)) // 2)):
        alone = train(declared(candidates(1)), features, rides)
    for one, other in zip(found.results, alone.results, strict=True):
        assert (one.name, one.score, one.spread, one.error, one.size) == (
            other.name,
            other.score,
            other.spread,
            other.error,
            other.size,
        )
        assert [fold["rmse"] for fold in one.folds] == [fold["rmse"] for fold in other.folds]
        assert one.warnings == other.warnings
    assert found.chosen == alone.chosen
    errors = {one.name: one.error for one in found.results if one.error}
    assert set(errors) == {"broken", "rough"}
    assert errors["broken"] == "fold 1 of 2: ValueError: no fit today"
    assert {"own, fold 1 of 2", "own, fold 2 of 2"} <= set(lines)
    assert sum(line.startswith("forest, fold 2 of 2: mae ") for line in lines) == 1


class CountsThreads(OfMyOwn):
    """An estimator that counts the threads that libraries may use in each fit."""

    counts: list[int] = []  # noqa: RUF012

    def fit(self, rows, labels):
        self.counts.append(max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp"))
        return super().fit(rows, labels)


def test_fits_to_few_values_use_one_thread(rides, features, declared, monkeypatch):
    CountsThreads.counts.clear()
    with threadpool_limits(2):
        train(declared({"counts": CountsThreads()}), features, rides)
        assert CountsThreads.counts == [1, 1, 1]  # two folds, and the chosen candidate; none is fitted twice
        CountsThreads.counts.clear()
        monkeypatch.setattr(parallel, "FEW_VALUES", 10)
        train(declared({"counts": CountsThreads()}), features, rides)
    assert CountsThreads.counts == [2, 2, 2]


def test_what_another_process_could_not_load_stays_here():
    def candidate(estimator):
        return ScikitCandidate(estimator, (), None, 0)

    assert is_portable(candidate(make_pipeline(FunctionTransformer(np.log1p), Ridge())))
    assert not is_portable(candidate(OfMyOwn()))
    assert not is_portable(candidate(make_pipeline(FunctionTransformer(lambda rows: rows), Ridge())))


def test_processes_are_as_many_as_memory_and_cores_allow(monkeypatch):
    frame = pd.DataFrame({"a": np.zeros(1000)})
    monkeypatch.setattr(parallel, "usable_cores", lambda: 8)
    monkeypatch.setattr(parallel, "_free_bytes", lambda: 4 << 30)
    assert plan_for(4, 12, frame, 1) == Plan(4, 1)  # few values
    monkeypatch.setattr(parallel, "FEW_VALUES", 10)
    assert plan_for(None, 12, frame, 1) == plan_for(1, 12, frame, 1) == plan_for(8, 1, frame, 1) == Plan(1, None)
    assert plan_for(4, 12, frame, 1) == Plan(4, 2)
    assert plan_for(16, 12, frame, 1) == Plan(10, 1)
    assert plan_for(4, 3, frame, 1) == Plan(3, 2)
    monkeypatch.setattr(parallel, "_free_bytes", lambda: 500 << 20)
    assert plan_for(4, 12, frame, 1) == Plan(1, None)
    with pytest.raises(DeclarationProblem, match="jobs is 0"):
        plan_for(0, 12, frame, 1)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    below = [child for child, parent in parents.items() if parent == pid]
    return below + [grandchild for child in below for grandchild in children(child)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_kill_leaves_no_process(tmp_path: Path):
    script = textwrap.dedent("""
        import numpy as np, pandas as pd
        from sklearn.ensemble import RandomForestRegressor
        from caudal.declarations.model import Model, temporal
        from caudal.declarations.node import Features
        from caudal.stages.train import train

        rows = 20_000
        frame = pd.DataFrame({"ride": range(rows), "at": pd.date_range("2023-01-01", periods=rows, freq="min"), "km": np.random.rand(rows), "minutes": np.random.rand(rows)})
        model = Model("m", "rides", "minutes", 0.0, {"forest": RandomForestRegressor(5000)}, temporal("1 day", folds=2), "mae")
        print("begins", flush=True)
        train(model, Features("rides", (), entity=("ride",), as_of="at", labels=("minutes",)), frame, jobs=2)
    """)
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "begins\n"
    until = time.monotonic() + 120
    while len(busy := [pid for pid in children(started.pid) if cpu_seconds(pid) > 1]) < 2:
        assert time.monotonic() < until
        assert started.poll() is None
        time.sleep(0.2)
    below = children(started.pid)
    assert set(busy) <= set(below)
    started.send_signal(signal.SIGKILL)
    started.wait()
    until = time.monotonic() + 60
    while left := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, f"{left} of {below} are still there"
        time.sleep(0.2)


def cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
